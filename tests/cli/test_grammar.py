"""What can be typed after main.py."""

from pathlib import Path

import pytest

from bot.cli.arguments import parser


class TestGrammar:
    def test_no_call_is_the_bot(self) -> None:
        assert parser().parse_args([]).call is None
        assert parser().parse_args(["run"]).call == "run"

    def test_every_option_of_imagine(self) -> None:
        typed = (
            "imagine fox --model m --lora a:0.5 --lora b --negative n --steps 5 --guidance 2.5"
            " --seed 42 --size 16:9 --count 2 --out dir --json --scheduler Euler --preset draft"
            " --hires 2 --image a.png --strength 0.5 --reference b.jpg --reference-weight 1.2"
            " --mask c.png --extend left --control canny:0.8 --control-image d.png"
            " --control-image e.png --tile"
        )
        options = parser().parse_args(typed.split())
        assert (options.prompt, options.model, options.lora) == ("fox", "m", ["a:0.5", "b"])
        assert (options.negative, options.steps, options.guidance) == ("n", 5, 2.5)
        assert (options.seed, options.size, options.count) == (42, "16:9", 2)
        assert (options.out, options.json) == (Path("dir"), True)
        assert (options.scheduler, options.preset, options.hires) == ("Euler", "draft", 2.0)
        assert (options.image, options.strength) == (Path("a.png"), 0.5)
        assert (options.reference, options.reference_weight) == (Path("b.jpg"), 1.2)
        assert (options.mask, options.extend) == (Path("c.png"), "left")
        assert (options.control, options.tile) == ("canny:0.8", True)
        assert options.control_image == [Path("d.png"), Path("e.png")]

    def test_every_option_of_compare(self) -> None:
        typed = "compare fox --axis steps --values 2,3 --axis2 lora --values2 off,a --seed 5 --json"
        options = parser().parse_args(typed.split())
        assert (options.call, options.prompt, options.seed) == ("compare", "fox", 5)
        assert (options.axis, options.values) == ("steps", "2,3")
        assert (options.axis2, options.values2, options.json) == ("lora", "off,a", True)

    def test_every_option_of_upscale(self) -> None:
        typed = (
            "upscale a.png --scale 1.5 --upscaler u --mode repaint --prompt fox --negative n"
            " --model m --lora a:0.5 --strength 0.4 --steps 5 --seed 7 --out dir"
        )
        options = parser().parse_args(typed.split())
        assert (options.call, options.image) == ("upscale", Path("a.png"))
        assert (options.scale, options.upscaler, options.mode) == (1.5, "u", "repaint")
        assert (options.prompt, options.negative, options.model) == ("fox", "n", "m")
        assert (options.lora, options.strength) == (["a:0.5"], 0.4)
        assert (options.steps, options.seed, options.out) == (5, 7, Path("dir"))

    def test_hires_has_a_scale_of_its_own(self) -> None:
        assert parser().parse_args(["imagine", "fox", "--hires"]).hires == 1.5
        assert parser().parse_args(["imagine", "fox"]).hires is None

    def test_what_is_not_given(self) -> None:
        options = parser().parse_args(["imagine", "fox"])
        given = {n: v for n, v in vars(options).items() if v is not None and n != "run"}
        assert given == {
            "call": "imagine",
            "prompt": "fox",
            "json": False,
            "lora": [],
            "edit": [],
            "control_image": [],
        }

    @pytest.mark.parametrize("value", ["-1:0.2", "-1:0.2,12:.1", "-1:0.2, -1:0.1", "-.5", "-1e-3"])
    def test_a_value_may_begin_with_a_minus(self, value: str) -> None:
        options = parser().parse_args(["imagine", "fox", "--variation", value, "--seed", "-1"])
        assert (options.variation, options.seed) == (value, -1)
        options = parser().parse_args(["imagine", f"--variation={value}", "fox"])
        assert (options.variation, options.prompt) == (value, "fox")

    def test_an_option_is_no_value(self) -> None:
        for wrong in ("-x", "--json", "--size"):
            with pytest.raises(SystemExit):
                parser().parse_args(["imagine", "fox", "--variation", wrong])

    def test_a_negative_seed_comes_as_far_as_our_own_refusal(self) -> None:
        assert parser().parse_args(["imagine", "fox", "--seed", "-1"]).seed == -1

    @pytest.mark.parametrize(
        "typed",
        [
            "paint",
            "imagine",
            "imagine fox --steps many",
            "imagine fox --colour red",
            "compare fox",
            "compare fox --axis seed --count 2",
            "upscale",
            "sync --guild x",
            "imagine fox --server example.org",
            "imagine fox --server ftp://example.org",
            "imagine fox --server http://",
            "imagine fox --server http://example.org:port",
            "imagine fox --server http://example.org/?key=secret",
            "models --server http://secret@example.org",
            "models --server http://example.org --key s\u00e9cret",
        ],
    )
    def test_usage_errors_end_with_2(self, typed: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args(typed.split())
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "usage:" in said
        assert "cret@" not in said
        assert "s\u00e9cret" not in said

    def test_a_key_without_a_server_is_a_mistake(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        options = parser().parse_args(["imagine", "fox", "--key", "secret"])
        with pytest.raises(SystemExit) as ended:
            options.run(options)
        assert ended.value.code == 2
        assert capsys.readouterr().err == "--key: there is no --server to present it to\n"

    def test_listings_and_sync(self) -> None:
        for call in ("models", "loras"):
            assert parser().parse_args([call, "--json"]).json is True
        assert parser().parse_args(["sync", "--guild", "5"]).guild == 5


def test_a_seed_that_is_no_number_is_told_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["imagine", "x", "--seed", "abc"])
    assert ended.value.code == 2
    assert (
        "must be a whole number from 0 to 4294967295, or -1 for any, got 'abc'"
        in capsys.readouterr().err
    )
