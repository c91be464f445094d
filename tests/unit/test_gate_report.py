"""The report: for people, and harmless whatever a plan says."""

import json
import re

import pytest
from gate_plans import AWS, CONFIG, GCP, KUBERNETES, UNKNOWN, Made, Planned
from markdown_it import MarkdownIt
from markdown_it.token import Token

from infra.gate import judge
from infra.gate.markdown import LIMIT, MARKER, code, plain

ATTACKS = [
    "a|b",
    "a\\|b",
    "a\\\\|b|",
    "`code`",
    "``` fence",
    "`",
    "<script>alert(1)</script>",
    "<!-- comment",
    "--> out",
    "</details><h1>big</h1>",
    "@octocat and @org/team",
    "![i](https://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "https://evil.example",
    "#1 GH-1 org/repo#2",
    "line\nbreak\r\n# heading",
    "\u2028# heading",
    "\u202eesrever",
    "\x1b[31mred",
    "~~~",
    "| --- |",
    "&lt;b&gt;",
    "$`evil`$",
]


def tokens(markdown: str) -> list[Token]:
    """As GitHub reads it: CommonMark with tables, HTML shown as it is."""
    found: list[Token] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown):
        found += [token, *(token.children or [])]
    return found


def hostile(attack: str) -> str:
    """The attack in every place of a plan that somebody else writes."""
    evil = Made(f"aws:{attack} {attack}", "aws:s3/bucket:Bucket", attack, {"bucket": attack})
    plan = Planned(*AWS, evil)
    plan.replace(attack, bucket=f"new {attack}")
    plan.create(Made("", "aws:sagemaker/x:X", f"x {attack}", {}, protect=False))
    plan.update("database", "Instance", **{attack: attack, "deletionProtection": False})
    plan.diagnostics.append({"message": f"error: {attack}\n", "severity": "error"})
    tenants = {attack: {"quota": {"gpu": {"onprem": 1, "burst": 1}}}}
    pools = {
        attack: {"tier": "burst", "accelerator": "l4", "maxNodes": 1},
        f"{attack}!": {"tier": "burst", "accelerator": attack},
    }
    config = {**CONFIG, "tenants": tenants, "cluster": {"pools": pools}, "allow": [attack]}
    return judge(plan.json(), config).markdown


@pytest.mark.parametrize("attack", ATTACKS)
def test_foreign_words_stay_words(attack: str):
    own, report = tokens(hostile("harmless")), hostile(attack)
    shown = tokens(report)
    kinds = [t.type for t in shown]
    for kind in ("link_open", "image", "heading_open", "th_open", "td_open", "tr_open"):
        assert kinds.count(kind) == [t.type for t in own].count(kind), kind
    html = [t.content for t in shown if t.type.startswith("html")]
    assert html == [t.content for t in own if t.type.startswith("html")]
    text = "".join(t.content for t in shown if t.type == "text")
    assert "@" not in text, "somebody would be mentioned"
    assert not re.search(r"https?://(?!cloud)", text), "GitHub makes links of addresses"
    assert not re.search(r"#\d", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u2028\u202e]", report)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_code_span_holds_all_of_it_in_one_cell(attack: str):
    table = f"| a | b |\n| --- | --- |\n| {code(attack)} | end |\n"
    cells = [t for t in tokens(table) if t.type == "inline"][2:]
    assert len(cells) == 2
    spans = [t for t in cells[0].children or [] if t.type == "code_inline"]
    assert len(spans) == 1
    assert cells[1].content == "end"


def test_no_backslash_stands_in_front_of_an_escaped_pipe():
    """GitHub's own renderer would take the two backslashes for one, and end the cell."""
    assert code("a\\|b") == "`a/\\|b`"
    assert code("a\\\\|b|") == "`a/\\|b\\|`"


def test_an_empty_word_is_no_open_code_span():
    assert code("") == "(empty)"
    assert code("\u200b\n") == "(empty)"
    assert plain("x" * 1000).endswith("…")


def test_the_marker_comes_first_and_the_verdict_next():
    for plan in (Planned(*AWS), Planned(*GCP)):
        lines = judge(plan.json(), {**CONFIG, "budget": {}}).markdown.splitlines()
        assert lines[0] == MARKER
        assert lines[1] == "## ✅ Fine: stack `prod`"


def test_the_counts_are_those_of_the_engine():
    plan = Planned(*AWS, *KUBERNETES)
    plan.update("mlflow", spec__replicas=3)
    plan.replace("network", "Vpc", cidrBlock="10.65.0.0/16")
    plan.delete("network-a")
    plan.create(Made("aws:Identity identity", "aws:iam/role:Role", "identity-audio"))
    document = plan.json()
    same = document["changeSummary"]["same"]
    text = judge(document, CONFIG).markdown
    assert f"**1** to create, **1** to update, **1** to replace, **1** to delete, {same} un" in text


def test_changes_are_grouped_by_component_and_the_worst_come_first():
    plan = Planned(*AWS, *KUBERNETES)
    plan.update("mlflow", spec__replicas=3)
    plan.delete("network-a")
    plan.replace("network", "Vpc", cidrBlock="10.65.0.0/16")
    plan.create(Made("aws:Network network", "aws:ec2/subnet:Subnet", "network-c"))
    table = judge(plan.json(), CONFIG).markdown.partition("### Changes")[2]
    rows = [line.split(" | ")[:3] for line in table.splitlines() if line.startswith("| `")]
    assert rows == [
        ["| `aws:Network network`", "🔴 delete", "`aws:ec2:Subnet network-a`"],
        ["| `aws:Network network`", "🔴 replace", "`aws:ec2:Vpc network`"],
        ["| `aws:Network network`", "🟢 create", "`aws:ec2:Subnet network-c`"],
        ["| `index:Mlflow mlflow`", "🟡 update", "`kubernetes:apps/v1:Deployment mlflow`"],
    ]


@pytest.mark.parametrize(("many", "limit"), [(100, LIMIT), (3000, LIMIT), (3000, 20_000)])
def test_a_huge_plan_still_fits_into_a_comment(many: int, limit: int):
    tenants = [
        Made("aws:Identity identity", "aws:iam/role:Role", f"identity-{'x' * 40}-{n}", {})
        for n in range(many)
    ]
    plan = Planned(*tenants)
    for tenant in tenants:
        plan.delete(tenant.name)
    quota = {f"tenant-{n}": {"quota": {"gpu": {"onprem": 1, "burst": 1}}} for n in range(many)}
    verdict = judge(plan.json(), {**CONFIG, "tenants": quota, "budget": {}}, limit)
    assert len(verdict.markdown) <= limit
    assert len(verdict.reasons) == many
    assert "more not shown here" in verdict.markdown
    assert verdict.markdown.count("```") % 2 == 0
    assert "### Changes" in verdict.markdown


def test_no_secret_is_shown_wherever_the_plan_has_one():
    password = "hunter2-correct-horse"
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    made = [
        Made("", "kubernetes:core/v1:Secret", "s", {"stringData": {"value": password}}),
        Made("", "random:index/randomPassword:RandomPassword", "r", {"keepers": {"a": password}}),
        Made("", "aws:rds/instance:Instance", "d", {"password": password, "dbName": "a"}),
        Made("", "aws:s3/bucket:Bucket", "b", {"tags": {"apiToken": password}, "acl": "private"}),
        Made("", "gcp:sql/user:User", "u", {"passwordWo": {**secret, "value": password}}),
        Made("", "aws:kms/key:Key", "k", {"description": [{**secret, "value": password}]}),
        Made("", "kubernetes:core/v1:Namespace", "n", {"env": {"DB_PASSWORD": password}}),
    ]
    paths = {
        "s": "stringData.value",
        "r": "keepers.a",
        "d": "password",
        "b": "tags",
        "u": "passwordWo",
        "k": "description",
        "n": "env.DB_PASSWORD",
    }
    plan = Planned(*made)
    for name, path in paths.items():
        plan.replace(name, **{path.replace(".", "__"): f"{password}-new"})
    document = plan.json()
    assert document["steps"][1]["op"] == "replace"
    assert password in json.dumps(document)
    assert password not in judge(document, CONFIG).markdown


def test_old_and_new_values_that_may_be_seen_are():
    plan = Planned(*AWS)
    plan.replace("network", "Vpc", cidrBlock=UNKNOWN)
    assert "`cidrBlock: 10.64.0.0/16 → (known after the change)`" in judge(plan.json()).markdown


@pytest.mark.parametrize(
    ("op", "gone", "told"),
    [
        ("create", "oldState", "New tenants: `vision`."),
        ("delete", "newState", "every home, server and job in their namespace: `vision`."),
    ],
)
def test_a_tenant_that_comes_or_goes_is_told(op: str, gone: str, told: str):
    namespace = Made("index:Tenant tenant-vision", "kubernetes:core/v1:Namespace", "vision")
    document = Planned(namespace, *AWS).json()
    (step,) = (s for s in document["steps"] if s["urn"].endswith("Tenant::tenant-vision"))
    step["op"] = op
    del step[gone]

    assert told in judge(document, CONFIG).markdown
    assert "enants" not in judge(Planned(namespace).json(), CONFIG).markdown.partition("Notes")[2]
