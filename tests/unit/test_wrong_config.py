"""A wrong config stops before the first resource, with one line that says what to do."""

import builders
import pulumi
import pytest
from wrong_configs import SECRET_TEXT, WRONG, WRONG_PROD, Wrong, WrongProd

from infra import settings, stack
from rig.rehearsal.scenes import config_of


def error_of(wrong: Wrong, resolve) -> str:
    config = {key: builders.as_text(value) for key, value in wrong.config.items()}
    pulumi.runtime.set_all_config(config, list(wrong.secret))
    with pytest.raises(pulumi.RunError) as refused:
        resolve(stack.assemble)
    return str(refused.value)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w.name)
def test_the_error_is_one_line_that_names_key_value_rule_neighbour_and_file(wrong, engine, resolve):
    error = error_of(wrong, resolve)

    assert "\n" not in error
    assert error.startswith(f"{wrong.key} ")
    assert wrong.value in error
    assert wrong.allowed in error
    assert f"nearest known key: {wrong.nearest}" in error or not wrong.nearest
    assert error.endswith("Fix it in Pulumi.dev.yaml.")
    assert SECRET_TEXT not in error
    assert engine.resources == []


def test_the_table_is_as_long_as_promised_and_names_are_unique():
    assert len(WRONG) >= 25
    assert len({wrong.name for wrong in WRONG}) == len(WRONG)


def test_the_cause_with_pydantics_own_words_is_not_chained(engine, resolve):
    pulumi.runtime.set_all_config({"spillway:mlflow": '{"replicas": 0}'}, [])

    with pytest.raises(pulumi.RunError) as refused:
        resolve(stack.assemble)

    assert refused.value.__suppress_context__


def mistaken(wrong: WrongProd) -> dict[str, str]:
    """Pulumi.prod.yaml with the mistake in it."""
    config = config_of(builders.ROOT / "Pulumi.prod.yaml")
    for path, value in wrong.changes.items():
        *parents, leaf = path.split(".")
        section = config
        for at, part in enumerate(parents):
            section = section.setdefault(part if at else f"spillway:{part}", {})
        name = leaf if parents else f"spillway:{leaf}"
        section[name] = value
        if value is None:
            del section[name]
    return {key: builders.as_text(value) for key, value in config.items()}


def test_the_prod_file_itself_is_right(engine, resolve):
    pulumi.runtime.set_all_config(mistaken(WrongProd("none", {}, "", "", "")), [])
    assert settings.load().cloud == "aws"


@pytest.mark.parametrize("wrong", WRONG_PROD, ids=lambda w: w.name)
def test_a_mistake_in_the_prod_file_is_one_line_before_the_first_resource(wrong, engine, resolve):
    pulumi.runtime.set_all_config(mistaken(wrong), [])
    with pytest.raises(pulumi.RunError) as refused:
        resolve(stack.assemble)

    error = str(refused.value)
    assert "\n" not in error
    assert error.startswith(f"spillway:{wrong.key} ")
    assert wrong.value in error
    assert wrong.allowed in error
    assert error.endswith("Fix it in Pulumi.dev.yaml.")
    assert SECRET_TEXT not in error
    assert engine.resources == []
