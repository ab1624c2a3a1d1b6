"""Where keys of object stores come from: files of the user, and programs that these name."""

import json
import sys

import pytest

from tileconv.stores import aws


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return path


def process(config, code):
    script = config.with_name("keys.py")
    script.write_text(code)
    config.write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")


def test_a_process_makes_keys(config):
    keys = {"AccessKeyId": "KEY", "SecretAccessKey": "HUSH", "Expiration": "2030-01-02T03:04:05+00:00"}
    process(config, f"print({json.dumps(json.dumps(keys))})")
    made = aws.credential()
    assert (made["access_key_id"], made["secret_access_key"], made["token"]) == ("KEY", "HUSH", None)
    assert made["expires_at"].year == 2030


@pytest.mark.parametrize("code", ["print('HUSH')", "import sys; sys.exit('HUSH')"])
def test_a_process_that_makes_no_keys_is_told(config, code):
    process(config, code)
    with pytest.raises(OSError, match="credential_process gives no keys") as caught:
        aws.credential()
    assert "HUSH" not in str(caught.value)
