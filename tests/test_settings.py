"""Settings: who wins, what is refused, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError

import pytest

from service.errors import InvalidSettings
from service.settings import PORT_ALIASES, SETTINGS, LoadedSettings, Settings, load_settings, variable
from service.store.names import NAME

SECRET = "hush-8f3a"


def load(
    environment: Mapping[str, str] | None = None,
    dotenv: Mapping[str, str | None] | None = None,
    **flags: object,
) -> LoadedSettings:
    return load_settings(flags=flags, environment=environment or {}, dotenv=dotenv or {})


def refused(environment: Mapping[str, str]) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as raised:
        load(environment)
    return raised.value


def test_defaults_bind_to_this_machine() -> None:
    """Without anything said, the service listens on 127.0.0.1:8000 and every value is a default."""
    loaded = load()

    assert (loaded.settings.host, loaded.settings.port, loaded.settings.default_model) == ("127.0.0.1", 8000, "iris")
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.origins.keys() == SETTINGS.keys()


def test_flag_wins_over_environment_over_dotenv() -> None:
    """Each source hides the ones below it, and a flag that is None was not given."""
    dotenv = {"LOGITD_PORT": "1", "LOGITD_HOST": "a", "LOGITD_STORE": "from-dotenv"}
    environment = {"LOGITD_PORT": "2", "LOGITD_HOST": "b"}

    loaded = load(environment, dotenv, port=3, host=None)

    assert (loaded.settings.port, loaded.settings.host, loaded.settings.store) == (3, "b", "from-dotenv")
    assert [loaded.origins[name] for name in ("port", "host", "store", "train")] == [
        "flag",
        "environment",
        ".env",
        "default",
    ]


@pytest.mark.parametrize("alias", PORT_ALIASES)
def test_platforms_may_name_the_port(alias: str) -> None:
    """PORT, AIP_HTTP_PORT and SAGEMAKER_BIND_TO_PORT are taken for the port; an empty one is not."""
    assert load({alias: "9001"}).settings.port == 9001
    assert load({alias: ""}).settings.port == 8000


def test_our_own_name_for_the_port_wins() -> None:
    """LOGITD_PORT comes before the platforms' names, and they come in their order."""
    names = ["LOGITD_PORT", *PORT_ALIASES]

    for first in range(len(names)):
        environment = {name: str(9000 + place) for place, name in enumerate(names) if place >= first}
        assert load(environment).settings.port == 9000 + first


def test_a_platforms_port_wins_over_dotenv() -> None:
    """The environment as a whole comes before .env."""
    assert load({"PORT": "9001"}, {"LOGITD_PORT": "9002"}).settings.port == 9001


def test_all_mistakes_are_told_at_once() -> None:
    """One error names every variable that is wrong or unknown, and never a value."""
    error = refused({"LOGITD_PORT": SECRET, "LOGITD_MAX_ROWS": "0", "LOGITD_LOG_LEVEL": SECRET, "LOGITD_X": SECRET})

    assert {place.pointer for place in error.errors} == {
        "/LOGITD_PORT",
        "/LOGITD_MAX_ROWS",
        "/LOGITD_LOG_LEVEL",
        "/LOGITD_X",
    }
    assert all(place.pointer[1:] in error.detail for place in error.errors)
    assert SECRET not in error.detail


def test_an_unknown_variable_names_the_nearest() -> None:
    """E5: a misspelt setting is an error with the name that was meant; other programs' variables are not."""
    assert "unknown setting LOGITD_MAX_ROW, did you mean LOGITD_MAX_ROWS?" in refused({"LOGITD_MAX_ROW": "1"}).detail
    assert "logitd config" in refused({"LOGITD_ZZZZZZZZ": "1"}).detail
    assert load({"HOME": "/", "LOGIT": "1", "logitd_port": "1"}).settings == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LOGITD_DEFAULT_MODEL", value) for value in ("", "..", "Iris", "a/b", "x" * 65, "iris\n")),
        *(("LOGITD_LOG_FORMAT", value) for value in ("JSON", "xml", "")),
        *(("LOGITD_TRAIN", value) for value in ("", "maybe", "2")),
        *(("LOGITD_ROOT_PATH", value) for value in ("api", "/", "/api/", "//x", "/a b", "/a?b", "http://x/y")),
        *(("LOGITD_WATCHDOG_S", value) for value in ("-1", "0.5", "3601")),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: str) -> None:
    """One mistake, which names the variable; more of them in tests/cli/test_cli_start_up.py."""
    error = refused({name: value})

    assert [place.pointer for place in error.errors] == [f"/{name}"]
    assert error.detail.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("LOGITD_PORT", " 2 ", "port", 2),
        ("LOGITD_WATCHDOG_S", "0", "watchdog_s", 0),
        ("LOGITD_TRAIN", "off", "train", False),
        ("LOGITD_TRAIN", "on", "train", True),
        ("LOGITD_ROOT_PATH", "/ml/v1", "root_path", "/ml/v1"),
        ("LOGITD_STORE", "models/é", "store", "models/é"),
        ("LOGITD_TRAIN_TIMEOUT_S", "0.5", "train_timeout_s", 0.5),
        ("LOGITD_DEFAULT_MODEL", "a", "default_model", "a"),
    ],
)
def test_values_in_range_are_read(name: str, value: str, field: str, expected: object) -> None:
    """Text from the environment becomes the field's type."""
    assert getattr(load({name: value}).settings, field) == expected


@pytest.mark.parametrize("name", ["iris", "a", "a.b-c_d", "x" * 64, "", "Iris", "a/", ".a", "a.", "x" * 65, "a\n"])
def test_the_default_model_is_named_as_the_store_names_models(name: str) -> None:
    """The rule for names stands twice, on two floors; this holds the two together."""
    try:
        Settings(default_model=name)
        accepted = True
    except InvalidSettings:
        accepted = False

    assert accepted == bool(NAME.fullmatch(name))


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "127.1")),
    ],
)
def test_writes_are_for_this_machine_alone(host: str, *, is_loopback: bool) -> None:
    """E7: beyond loopback, only LOGITD_TRUST_NETWORK=on allows writes."""
    settings, trusting = Settings(host=host), Settings(host=host, trust_network=True)

    assert settings.is_loopback == is_loopback
    assert settings.may_write == is_loopback
    assert trusting.may_write


@pytest.mark.parametrize("value", ["1", True, None, 1.0])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    """Text is read where it comes from the environment; in Python a number is a number."""
    with pytest.raises(InvalidSettings, match=r"^LOGITD_PORT: expected a whole number from 0 to 65535$"):
        Settings(port=value)  # type: ignore[arg-type]  # the point of the test


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after the start, nor adds one."""
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        Settings(colour="red")  # type: ignore[call-arg]  # the point of the test


def test_every_setting_has_a_variable_and_a_description() -> None:
    """The README's table is made of these."""
    assert all(variable(name) == f"LOGITD_{name.upper()}" for name in SETTINGS)
    assert all(setting.description and setting.is_met_by(setting.default) for setting in SETTINGS.values())
