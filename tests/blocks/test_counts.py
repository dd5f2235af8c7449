"""Parameters and multiply-accumulates against those of reference implementations, entry by entry.

`reference_counts.json` was measured by instantiating the reference code that each entry names.
"""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from ablate import cost
from blocks.activation import GELU, ReLU6
from blocks.attention import (
    CBAM,
    ContentAwareMixer,
    CoordinateAttention,
    DualAttention,
    EfficientChannel,
    FeatureModulation,
    GlobalContext,
    GroupedChannelAttention,
    GroupedSpatialAttention,
    NonLocal,
    OmniKernel,
    SelfAttention,
    SqueezeExcite,
    TransposedAttention,
    WindowAttention,
)
from blocks.convolution import (
    DenseConvolution,
    DepthwiseConvolution,
    GroupedConvolution,
    LinearConvolution,
    SeparableConvolution,
)
from blocks.downsampling import PatchMerging
from blocks.mixing import ChannelShuffle, PointwiseConvolution
from blocks.mlp import MLP, ConvolutionalChannelMixer, FusedInverted, GatedDepthwise, InvertedResidual
from blocks.networks import (
    ConvNeXt,
    LeNet,
    MobileNetV2,
    ResNet,
    ResNeXt,
    ShuffleNetV1,
    ShuffleNetV2,
    SKNet,
    SwinTransformer,
    VisionTransformer,
)
from blocks.networks.danet import DANetHead
from blocks.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm

ENTRIES = json.loads(Path(__file__).with_name("reference_counts.json").read_text("utf-8"))

VIT = partial(
    VisionTransformer, 3, 1000, patch=16, grid=14, depth=12, class_token=True,
    attention=partial(SelfAttention, head_channels=64),
)  # fmt: skip
SWIN = partial(SwinTransformer, 3, 1000, patch=4, width=96, depths=(2, 2, 6, 2))
ATTO = partial(ConvNeXt, patch=4, width=40, depths=(2, 2, 6, 2))
IMAGENET = partial(ResNet, 3, 1000, family="imagenet")


def timms_squeeze_excite(channels):
    """Return squeeze-excite as timm's networks have it: at least 8 hidden units, and biases."""
    return SqueezeExcite(channels, reduction=min(16, channels // 8), bias=True)


def published_eca(channels):
    """Return ECA as in the authors' published weights, which set kernels by hand."""
    return EfficientChannel(channels, kernel={256: 3, 512: 5, 1024: 5, 2048: 7}[channels])


# What is built here, and the shape of its input where ours differs from the reference's.
BUILT = {
    **{f"se.moskomule.c{n}.r16": partial(SqueezeExcite, n) for n in (64, 128, 256, 512)},
    "se.timm.c256.r16": partial(SqueezeExcite, 256, bias=True),
    **{f"cbam.official.c{n}.r16": partial(CBAM, n) for n in (64, 128, 256)},
    "cbam.official.c256.r16.channel_only": partial(CBAM, 256, parts="channel"),
    "cbam.timm.c256.r16": partial(CBAM, 256, bias=False),
    **{f"coordatt.official.c{n}.r32": partial(CoordinateAttention, n) for n in (64, 128, 256)},
    "coordatt.timm.c256": partial(CoordinateAttention, 256, bias=False),
    "eca.official.c256.k5": partial(EfficientChannel, 256, kernel=5),
    **{f"eca.timm.auto.c{n}": partial(EfficientChannel, n) for n in (64, 128, 256, 512, 1024)},
    "gc.timm.c256": partial(GlobalContext, 256, reduction=8),
    "nonlocal.embedded.2d.c256": partial(NonLocal, 256),
    "nonlocal.embedded.2d.c256.sub": partial(NonLocal, 256, sub_sample=True),
    "danet.cam.c512": partial(DualAttention, 512, parts="channel"),
    "danet.head.c2048.out19": partial(DANetHead, 2048, 19),
    "swin.window_attention.d96.h3.w7": partial(WindowAttention, 96, heads=3),
    "swin.patch_merging.d96": partial(PatchMerging, 96, 192, None),
    "swin.patch_embed.p4.d96": lambda: SWIN().stem,
    "swin.block.d96.h3.w7": lambda: SWIN().stages[0].blocks[0],
    "swin.block.d96.h3.w7.shift3": lambda: SWIN().stages[0].blocks[1],
    "swin_t.official": SWIN,
    "convnext_t.official": partial(ConvNeXt, 3, 1000, patch=4, width=96, depths=(3, 3, 9, 3)),
    "convnext.block.d96": lambda: ConvNeXt(3, 10, width=96).stages[0].blocks[0],
    "timm.convnext_atto": partial(ATTO, 3, 1000),
    "timm.convnext_atto.c10.in1": partial(ATTO, 1, 10),
    "timm.vit_tiny_patch16_224": partial(VIT, width=192),
    "timm.vit_base_patch16_224": partial(VIT, width=768),
    "restormer.mdta.d48.h1": partial(TransposedAttention, 48, heads=1),
    "restormer.gdfn.d48.e2.66": partial(GatedDepthwise, 48, GELU),
    "restormer.block.d48.h1": lambda: nn.Sequential(
        LayerNorm(48), TransposedAttention(48, heads=1), LayerNorm(48), GatedDepthwise(48, GELU)
    ),
    "safmn.safm.d36": partial(FeatureModulation, 36),
    "safmn.ccm.d36": partial(ConvolutionalChannelMixer, 36, GELU),
    "safmn.channel_mlp.d36": partial(MLP, 36, GELU, expansion=2.0),
    "safmn.attblock.d36": lambda: nn.Sequential(
        LayerNorm(36), FeatureModulation(36), LayerNorm(36), ConvolutionalChannelMixer(36, GELU)
    ),
    "oknet.omni_kernel.d128.k63": partial(OmniKernel, 128, kernel=63),
    "camixersr.mixer.d60.w16": partial(ContentAwareMixer, 60, window=16, ratio=0.75),
    "ssgformer.fga_c.d48.h2": partial(GroupedChannelAttention, 48, heads=2, groups=2),
    "ssgformer.fga_s.d48.f16": partial(GroupedSpatialAttention, 48, groups=16),
    "timm.resnet18": partial(IMAGENET, depth=18),
    "timm.resnet34": partial(IMAGENET, depth=34),
    "timm.resnet50": partial(IMAGENET, depth=50),
    "plain.resnet50.jongchan": partial(IMAGENET, depth=50),
    "timm.resnet18.c10.in1": partial(ResNet, 1, 10, family="imagenet", depth=18),
    "timm.resnet50.c10.in1": partial(ResNet, 1, 10, family="imagenet", depth=50),
    "timm.seresnet18": partial(IMAGENET, depth=18, attention=timms_squeeze_excite),
    "cbam.resnet50": partial(IMAGENET, depth=50, attention=CBAM),
    "ecanet.eca_resnet50": partial(IMAGENET, depth=50, attention=published_eca),
    "derived.se_resnet50.biasfree": partial(IMAGENET, depth=50, attention=SqueezeExcite),
    "senet.moskomule.baseline.resnet20": partial(ResNet, 3, 10),
    "senet.moskomule.baseline.resnet56": partial(ResNet, 3, 10, depth=56),
    "senet.moskomule.se_resnet20": partial(ResNet, 3, 10, attention=SqueezeExcite),
    "senet.moskomule.se_resnet56": partial(ResNet, 3, 10, depth=56, attention=SqueezeExcite),
    "resnet.basicblock.64": lambda: IMAGENET(depth=18).stages[0][1],
    "resnet.basicblock.64to128.s2.proj": lambda: IMAGENET(depth=18).stages[1][0],
    "resnet.bottleneck.64to256": lambda: IMAGENET(depth=50).stages[0][0],
    "resnet.bottleneck.256": lambda: IMAGENET(depth=50).stages[0][1],
    "resnext.bottleneck.256.32x4d": lambda: ResNeXt(3, 1000, family="imagenet", depth=50).stages[0][1],
    "timm.skresnet18": partial(SKNet, 3, 1000, family="imagenet", depth=18, reduction=8, least=16, split=True),
    "timm.skresnet50": partial(
        SKNet, 3, 1000, family="imagenet", depth=50, cardinality=1, group_width=64, least=8, split=True
    ),
    "timm.skresnext50_32x4d": partial(SKNet, 3, 1000, family="imagenet", depth=50),
    "lenet5.modern.32x32": partial(LeNet, 1, 10),
    "timm.mobilenetv2_100": partial(MobileNetV2, 3, 1000, width=1.0, stem="imagenet"),
    "mobilenetv2.inverted_residual.32to32.e6": partial(InvertedResidual, 32, ReLU6, expansion=6),
    "fused_mbconv.32to32.e4": partial(FusedInverted, 32, ReLU6),
    "conv.c64.dense3x3": partial(DenseConvolution, 64, 64, 3),
    "conv.c64.grouped3x3.g4": partial(GroupedConvolution, 64, 64, 3, groups=4),
    "conv.c64.grouped3x3.g32": partial(GroupedConvolution, 64, 64, 3, groups=32),
    "conv.c64.depthwise3x3": partial(DepthwiseConvolution, 64, 64, 3),
    "conv.c64.depthwise7x7": partial(DepthwiseConvolution, 64, 64, 7),
    "conv.c64.pointwise": partial(LinearConvolution, 64, 64, 1),
    "conv.c64.dw3x3_then_pw": partial(SeparableConvolution, 64, 64, 3),
    "conv.c64.grouped3x3.g4_then_pw": lambda: nn.Sequential(
        GroupedConvolution(64, 64, 3, groups=4), PointwiseConvolution(64)
    ),
    "conv.c64.grouped3x3.g4_then_shuffle": lambda: nn.Sequential(
        GroupedConvolution(64, 64, 3, groups=4), ChannelShuffle(64, groups=4)
    ),
    "norm.c64.bn": partial(BatchNorm, 64),
    "norm.c64.gn32": partial(GroupNorm, 64),
    "norm.c64.gn1": partial(GroupNorm, 64, groups=1),
    "norm.c64.in.default": partial(InstanceNorm, 64),
    "norm.c64.in.affine": partial(InstanceNorm, 64, affine=True),
    "norm.c64.ln2d": partial(LayerNorm, 64),
    "shufflenetv1.1.0x.3": partial(ShuffleNetV1, 3, 1000, width=1.0, stem="imagenet"),
    "shufflenetv1.1.0x.8": partial(ShuffleNetV1, 3, 1000, groups=8, width=1.0, stem="imagenet"),
    "shufflenetv2.1.0x": partial(ShuffleNetV2, 3, 1000, width=116, stem="imagenet"),
    "shufflenetv2.0.5x": partial(ShuffleNetV2, 3, 1000, width=48, stem="imagenet"),
}

# Shapes of one input (channels, height, width) where that of the reference is a sequence, or is not told.
SHAPES = {
    "swin.window_attention.d96.h3.w7": (96, 56, 56),  # 64 windows of 49 pixels
    **dict.fromkeys(("swin.patch_merging.d96", "swin.block.d96.h3.w7", "swin.block.d96.h3.w7.shift3"), (96, 56, 56)),
    "camixersr.mixer.d60.w16": (60, 32, 32),
    "ssgformer.fga_c.d48.h2": (48, 32, 32),
    "ssgformer.fga_s.d48.f16": (48, 32, 32),
}

# Weights of the reference that never get a gradient, and are not built here.
DEAD = {
    "gc.timm.c256": 1,  # a bias that the softmax cancels
    "oknet.omni_kernel.d128.k63": 295_168,  # a convolution that the reference never calls
}

# Entries with another convention for multiply-accumulates, or another function where paper and reference disagree.
OTHER_MACS = {
    "ssgformer.fga_c.d48.h2": "the reference attends to the channels of all groups, ours within the group",
}

# Entries that name nothing built here: how their names begin, and why.
NOT_BUILT = {
    "skconv.pppLang": "true 5×5 kernels with biases, and no norm after the squeeze; ours is the paper's form, as timm's",
    "sknet.pppLang": "networks of that variant",
    "nonlocal.embedded.3d": "for volumes",
    "acm.": "segmentation",
    "dnanet.": "segmentation",
    "unet.": "segmentation",
    "timm.ecaresnet50t": "a deep stem of three tiers",
    "timm.mobilenetv3_small_100": "another network",
    "timm.efficientnet_b0": "another network",
    "restormer.default": "restoration",
    "restormer.biasfree_ln": "restoration",
    "restormer.dualpixel": "restoration",
    "restormer.tiny.d16": "restoration",
    "ssgformer.yml": "restoration",
    "ssgformer.dgff": "an mlp of a restoration network",
    "ssgformer.sdp": "the prompt of a restoration network",
    "hcanet.": "restoration",
    "oknet.res4": "restoration",
    "oknet.fgm": "part of the omni-kernel, with a convolution that the reference never calls",
    "safmn.x": "restoration",
    "safmn.mbconv": "the paper's alternative without norms and with squeeze-excite; inverted-residual has norms",
    "camixersr.x": "restoration",
    "basicsr.": "restoration",
    "hybridsn.": "hyperspectral images",
    "torchvision.video": "video",
    "conv.c64.dense3x3.bias": "convolutions have no bias, because a norm follows",
    "norm.c64.ln_chw": "gains for every value, which would fit one size of map only",
}


@pytest.fixture(params=BUILT, ids=str)
def entry(request):
    return request.param


def built(name):
    with torch.device("meta"):
        return BUILT[name]()


def test_every_entry_is_built_or_left_out_for_a_reason():
    left_out = {name for name in ENTRIES if any(name.startswith(start) for start in NOT_BUILT)}

    assert ENTRIES.keys() == left_out | BUILT.keys()
    assert not left_out & BUILT.keys()
    assert [start for start in NOT_BUILT if not any(name.startswith(start) for name in ENTRIES)] == []


def test_parameters_are_as_many_as_in_the_reference(entry):
    assert cost.parameters(built(entry)) + DEAD.get(entry, 0) == ENTRIES[entry]["params"]


def test_multiply_accumulates_are_those_of_the_reference_within_one_percent(entry):
    expected = ENTRIES[entry].get("macs")
    if not expected or entry in OTHER_MACS:
        return
    shape = SHAPES.get(entry) or ENTRIES[entry]["input"][0][1:]

    assert cost.macs(built(entry), shape) == pytest.approx(expected, rel=0.01)
