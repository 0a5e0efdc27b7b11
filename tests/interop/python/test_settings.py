"""The JSON Schema of the settings, judged by a validator that editors and others use."""

import json
import subprocess
from pathlib import Path

import pytest
import tomli
from jsonschema import Draft202012Validator

from support import setting

DEFAULTS = Path(__file__).parents[3] / "worker/config.default.toml"


def printed(*arguments):
    """What the worker's binary prints."""
    return subprocess.run([setting("WORKER"), *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def validator():
    """A validator of the schema, which has to be one itself."""
    schema = json.loads(printed("config", "schema"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def places(validator, text):
    """Where a file is wrong, each place once."""
    errors = validator.iter_errors(tomli.loads(text))
    return sorted({".".join(str(part) for part in error.absolute_path) for error in errors})


def test_the_schema_takes_the_defaults_and_the_file_to_begin_with(validator):
    assert places(validator, DEFAULTS.read_text()) == []
    assert places(validator, printed("config", "init", "-")) == []


GOOD = """
cloud = "china"
[service_bus]
namespace = "contoso"
transport = "websocket"
identity = { kind = "managed" }
[retry]
first_delay = "1m 30s"
longest_delay = "2h"
[throttle]
writes_per_second = 6.5
[filter]
organizations = ["11111111-2222-4333-8444-aaaaaaaaaaaa"]
[mapping]
preset = "custom"
rows = [
  { column = "emailaddress1", property = "mail", convert = ["trim", "lower"], on_null = "keep" },
  { columns = ["mobilephone", "telephone1"], property = "businessPhones" },
  { template = "{firstname} {lastname}", property = "displayName", default = "Portal user" },
  { column = "new_tier", property = "extension_0123456789abcdef0123456789abcdef_tier", on_invalid = "skip" },
]
"""


def test_the_schema_takes_what_the_worker_takes(validator):
    assert places(validator, GOOD) == []


@pytest.mark.parametrize(
    "text, place",
    [
        ('cloud = "germany"', "cloud"),
        ("[pool]\nconcurrency = 0", "pool.concurrency"),
        ("[pool]\nconcurrency = 1.5", "pool.concurrency"),
        ('[pool]\ngrace = "soon"', "pool.grace"),
        ("[pool]\ngrace = 25", "pool.grace"),
        ("[pool]\ngracee = 25", "pool"),
        ("[pol]\ngrace = 25", ""),
        ("[throttle]\nwrites_per_second = 0.5", "throttle.writes_per_second"),
        ('[graph]\ndiff = "write"', "graph.diff"),
        ('[identity]\nkind = "password"', "identity.kind"),
        ('[service_bus.identity]\nkind = "password"', "service_bus.identity.kind"),
        ('[filter]\norganizations = ["contoso"]', "filter.organizations.0"),
        ('[mapping]\nrows = [{ column = "a" }]', "mapping.rows.0"),
        ('[mapping]\nrows = [{ column = "a", columns = ["b"], property = "city" }]', "mapping.rows.0"),
        ('[mapping]\nrows = [{ column = "a", property = "City" }]', "mapping.rows.0.property"),
        ('[mapping]\nrows = [{ column = "a", property = "city", convert = ["shout"] }]', "mapping.rows.0.convert.0"),
    ],
)
def test_the_schema_refuses_what_the_worker_refuses(validator, tmp_path, text, place):
    assert places(validator, text) == [place]
    settings = tmp_path / "contactsync.toml"
    settings.write_text(text)
    checked = subprocess.run([setting("WORKER"), "check", "--config", str(settings)], check=False)
    assert checked.returncode == 78
