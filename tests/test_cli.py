import pytest
from click.testing import CliRunner

from ablate.cli import main

COMMANDS = sorted(main.commands)


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_the_commands_are_those_of_the_readme():
    assert COMMANDS == ["blocks", "export", "plan", "report", "run", "show", "status", "ui"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_and_describes_every_option(invoke, command):
    shown = invoke(command, "--help").output

    assert f"Example: ablate {command}" in shown
    assert all(getattr(option, "help", "") for option in main.commands[command].params if option.opts[0][0] == "-")


def test_an_unknown_study_is_a_sentence_with_the_nearest_match_and_exit_code_2(invoke):
    result = invoke("run", "atention")

    assert result.exit_code == 2
    assert "did you mean 'attention'?" in result.output


@pytest.mark.parametrize("command", ["status", "report"])
def test_asking_for_a_study_where_nothing_has_been_run_says_so(invoke, command, tmp_path):
    result = invoke(command, "attention")

    assert result.exit_code == 2
    assert "nothing has been run here" in result.output
    assert not (tmp_path / "runs").exists()


def test_the_ui_of_an_empty_folder_says_that_nothing_has_been_run(invoke):
    result = invoke("ui")

    assert result.exit_code == 2
    assert "nothing has been run here" in result.output


def test_blocks_lists_papers_options_and_the_slots_of_networks(invoke):
    shown = invoke("blocks").output

    assert "coordinate(reduction=32, axes=both, bias=true)" in shown
    assert "arXiv:1512.03385" in shown
    assert "attention: none, or any other choice" in shown


def test_an_unknown_slot_of_blocks_names_the_nearest(invoke):
    result = invoke("blocks", "atention")

    assert result.exit_code == 2
    assert "did you mean 'attention'?" in result.output


def test_a_bug_shows_its_traceback_and_is_not_taken_for_a_mistake_of_the_user(invoke, monkeypatch):
    monkeypatch.setattr("ablate.config.read_study", lambda *_: 1 / 0)

    result = invoke("run", "tiny")

    assert isinstance(result.exception, ZeroDivisionError)


def test_the_ui_of_an_unknown_study_names_the_nearest(invoke, tmp_path):
    import ablate
    from ablate.train import Progress

    def flat(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.5}, {})

    ablate.run("tiny", train=flat, workers=0, runs=tmp_path / "runs", quiet=True)

    result = invoke("ui", "tny")

    assert result.exit_code == 2
    assert "unknown study: 'tny'; did you mean 'tiny'?" in result.output
