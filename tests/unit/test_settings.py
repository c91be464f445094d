"""What a right config means, and that its documentation is current."""

import json

import builders
import pulumi
import pytest
import yaml
from pydantic import ValidationError

from infra import schema, settings
from infra.config_errors import known


def load(config: dict[str, object], secret: tuple[str, ...] = ()) -> settings.Settings:
    texts = {key: builders.as_text(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(texts, list(secret))
    return settings.load()


def test_nothing_needs_to_be_set(engine):
    assert load({}) == settings.Settings()


def test_precious_things_are_protected_unless_the_stack_says_otherwise(engine):
    assert load({}).protect is True
    assert load({"spillway:protect": False}).protect is False


def test_other_projects_and_providers_of_the_stack_are_left_alone(engine):
    assert load({"aws:region": "eu-central-1", "pulumi:tags": {"a": "b"}}) == settings.Settings()


def test_the_engines_environment_is_read_where_nothing_was_set_in_process(engine, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG", '{"spillway:namespace": "ds"}')

    assert settings.load().namespace == "ds"


def test_a_secret_kubeconfig_is_kept_secret(engine, resolve):
    text = "clusters: [hunter2]"
    read = load({"spillway:kubeconfig": text}, ("spillway:kubeconfig",))

    assert "hunter2" not in repr(read)
    seen = resolve(lambda: settings.encrypted(read.kubeconfig).is_secret())
    assert seen is True


def test_settings_cannot_be_changed_after_they_were_read(engine):
    with pytest.raises(ValidationError, match="frozen"):
        load({}).namespace = "other"


@pytest.mark.parametrize("size", ["1Gi", "1.5Gi", "2G", "1Ti", "2000M", "1048576Ki"])
def test_every_spelling_of_a_quantity_is_a_size(size, engine):
    assert load({"spillway:database": {"size": size}}).database.size == size


@pytest.mark.parametrize(
    "registry", ["localhost/spillway", "registry.example.com:5000/ds", "r.example.com"]
)
def test_a_registry_may_have_a_port_and_a_path(registry, engine):
    assert load({"spillway:images": {"registry": registry}}).images.registry == registry


def test_the_checked_in_schema_and_table_are_current():
    stale = "run: python -m infra.settings --write"

    assert schema.SCHEMA.read_text() == schema.text(), stale
    assert schema.TABLE.read_text() == schema.document(schema.TABLE.read_text()), stale


def test_every_setting_of_the_dev_stack_file_is_in_the_schema():
    config = yaml.safe_load((builders.ROOT / "Pulumi.dev.yaml").read_text())["config"]
    described = json.loads(schema.SCHEMA.read_text())["properties"]["config"]["properties"]

    assert set(config) <= set(described)
    assert {f"spillway:{path[0]}" for path in known(settings.Settings)} == set(described)


def test_every_setting_says_what_it_does_and_what_it_may_be():
    def fields(model):
        for field in model.model_fields.values():
            yield field
            if nested := schema.section(field):
                yield from fields(nested)

    assert all(field.description and schema.rule(field) for field in fields(settings.Settings))
