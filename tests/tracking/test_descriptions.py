"""What MLflow's pages say in words."""

import pytest

from ablate import design
from ablate.study import RunState
from ablate.tracking import descriptions

ODD = """\
question: "Does `conv` *lose* <script>alert(1)</script> 50% | $x$ _here_?"
notes: |
  The user's own *Markdown*.
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots:
  conv: [dense, {depthwise: {label: "深度`x`"}}]
  mix: {choices: [none, pointwise], when: {conv: "深度`x`"}, reference: none}
  recipe.warmup: [0, 1]
seeds: 2
recipe: {epochs: 3}
metrics: [loss]
"""


@pytest.fixture
def odd(study_of):
    return study_of("odd name", ODD)


def test_a_study_is_described_by_what_it_asks_compares_and_measures(study_of, usual_text):
    study = study_of(text=f"question: Which?\nnotes: Read *this*.\n{usual_text}")
    plan = design.plan(study)

    assert descriptions.of_study(study, plan, n_trials=4, split="Scored on digits.") == (
        "**Which?**\n\nRead *this*.\n\n"
        "- **Design:** one-at-a-time, which estimates the effect of changing one slot while the others stay at the "
        "reference.\n"
        "- **Slot** `attention`**:** `none` (reference), `se`.\n"
        "- **Settings:** 2: `none`, `se`.\n"
        "- **Reference:** `none`: `attention` `none`.\n"
        "- **Seeds:** 0, 1; 4 trials are planned so far.\n"
        "- **Metric:** accuracy, higher is better.\n"
        "- **Network and data:** `resnet`, `digits`. Scored on digits.\n"
        "- **Report:** `ablate report one` makes it and keeps it with this run, under *Artifacts*: `report/index.html`."
    )


def test_a_question_is_no_markdown_and_no_html_and_notes_are_the_users_own(odd):
    question, notes, *_ = descriptions.of_study(odd, design.plan(odd), n_trials=8).split("\n\n")

    assert question == r"**Does \`conv\` \*lose\* &lt;script>alert(1)&lt;/script> 50% \| $x$ \_here\_?**"
    assert notes == "The user's own *Markdown*."


def test_a_slot_says_where_it_exists_and_a_label_is_shown_as_it_is(odd):
    said = descriptions.of_study(odd, design.plan(odd), n_trials=8)

    assert "- **Slot** `mix`**:** `none` (reference), `pointwise`; only where `conv` is `` 深度`x` ``.\n" in said
    assert "accuracy, higher is better; loss, lower is better." in said


def test_a_long_list_of_settings_is_cut_with_a_word(study_of, usual_text):
    text = usual_text.replace(
        "[none, se]", "[none, " + ", ".join(f"{{se: {{reduction: {n}}}}}" for n in range(1, 60)) + "]"
    )
    study = study_of(text=text.replace("width: 16", "width: 64"))
    said = descriptions.of_study(study, design.plan(study), n_trials=120)

    assert "and 20 more, which `plan.json` lists." in said
    assert "`se(reduction=39)`" in said
    assert "`se(reduction=40)`" not in said.partition("**Settings:**")[2]


def test_no_description_is_longer_than_mlflow_keeps(study_of, usual_text):
    long = study_of(text="notes: |\n" + "  a line of notes\n" * 1000 + usual_text)
    said = descriptions.of_study(long, design.plan(long), n_trials=4)

    assert len(said) <= descriptions.LONGEST
    assert said.endswith("a line of notes\n…")


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [
        (RunState.COMPLETE, "", "Complete after 3 epochs and 2.0 s: accuracy 70.00 %."),
        (RunState.FAILED, "Traceback\n\x1b[31mE: `x`", "Failed after 3 epochs and 2.0 s: `` \\x1b[31mE: `x` ``; *Artifacts* hold its traceback."),
        (RunState.FAILED, "", "Failed after 3 epochs and 2.0 s."),
        (RunState.PRUNED, "", "Pruned by the search after 3 epochs and 2.0 s."),
        (RunState.KILLED, "", "Killed after 3 epochs and 2.0 s."),
        (RunState.RUNNING, "", ""),
    ],
)  # fmt: skip
def test_a_run_says_how_it_ended(study_of, trials_of, run_of, state, error, says):
    study = study_of()
    said = descriptions.of_run(run_of(trials_of(study)[0], state, error=error), study)

    assert said == f"`none` on seed 0: the reference. {says}".rstrip()


def test_a_run_says_in_what_it_differs_from_the_reference_and_what_was_noted(odd, trials_of, run_of):
    by_label = {trial.setting.label: trial for trial in trials_of(odd, held_out=True)}
    trial = by_label["conv=深度`x`, mix=pointwise"]
    said = descriptions.of_run(run_of(trial, notes=("went on from epoch 2", "# of_it")), odd)

    assert said == (
        "`` conv=深度`x`, mix=pointwise `` on seed 1: differs from the reference in `conv` (`` 深度`x` `` instead of "
        "`dense`) and `mix` (`pointwise`; the reference has none). Scored on the held-out part of the training images: its "
        "score selects. Complete after 3 epochs and 2.0 s: accuracy 70.00 %.\n\n"
        "- went on from epoch 2\n- \\# of\\_it"
    )
