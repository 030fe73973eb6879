"""What a running node knows and must not tell: its keys, its passwords, and who is in its session stores."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from gateway.vault.keys import DataKey, read_keys
from gateway.vault.master import MasterKey
from gateway.vault.node_key import ensure_node_key
from tests.acceptance.node import Node

Found = dict[str, str | bytes]

_OF_CLINIC = ("snapshots", "database", "lookups")
_OF_NODE = ("audit", "jetstream", "nats accounts", "schedules")
_PRE_KEYS = 5
"""How many of a store's 811, oldest and newest, are looked for: all of them would take the time of everything else."""
_STORE = {
    "noise key": "SELECT noise_key FROM whatsmeow_device",
    "identity key": "SELECT identity_key FROM whatsmeow_device",
    "signed pre-key": "SELECT signed_pre_key FROM whatsmeow_device",
    "adv key": "SELECT adv_key FROM whatsmeow_device",
    "own name": "SELECT business_name FROM whatsmeow_device",
    "pre-key": f"SELECT key FROM whatsmeow_pre_keys ORDER BY key_id LIMIT {_PRE_KEYS}",
    "late pre-key": f"SELECT key FROM whatsmeow_pre_keys ORDER BY key_id DESC LIMIT {_PRE_KEYS}",
    "session": "SELECT substr(session, -48) FROM whatsmeow_sessions",
    "message secret": "SELECT key FROM whatsmeow_message_secrets",
    "name": "SELECT DISTINCT push_name FROM whatsmeow_contacts WHERE push_name != ''",
    "LID": "SELECT lid FROM whatsmeow_lid_map",
}


def derived(whose: str, keys: Mapping[str, DataKey], purposes: tuple[str, ...]) -> Found:
    """These keys, and what is derived from them."""
    found: Found = {f"{name} of {whose}": key.key for name, key in keys.items()}
    for name, key in keys.items():
        found |= {f"{name} of {whose} for {purpose}": key.derive(purpose) for purpose in purposes}
    return found


def clinic_keys(data: Path, clinic: str, master: MasterKey, when: str) -> Found:
    """The data keys that a clinic has by now."""
    keys = {f"{when} key {number}": key for number, key in enumerate(read_keys(data, clinic, master))}
    assert keys
    return derived(clinic, keys, _OF_CLINIC)


def node_keys(data: Path, master: MasterKey) -> Found:
    """The node's own."""
    return derived("the node", {"key": ensure_node_key(data, master)}, _OF_NODE)


def broker_secrets(node: Node) -> Found:
    """Every password of every login, and JetStream's key, as the server reads them from memory."""
    config = node.nats_config.read_text()
    logins = re.findall(r'user: "([^"]+)", password: "([^"]+)"', config)
    (key,) = re.findall(r'^ +key: "([0-9a-f]{64})"$', config, re.MULTILINE)
    assert len(logins) > 5
    return {"JetStream's key": str(key), **{f"password of {user}": password for user, password in logins}}


def of_store(node: Node, clinic: str, channel: str) -> Found:
    """Keys, names and LIDs in the working copy of a session store."""
    found: Found = {}
    with closing(sqlite3.connect(f"file:{node.runtime}/clinics/{clinic}/{channel}.db?mode=ro", uri=True)) as db:
        for name, query in _STORE.items():
            for number, (value,) in enumerate(db.execute(query)):
                found[f"{name} {number} of {clinic}/{channel}"] = value
    assert {name.split(" of ")[0].rpartition(" ")[0] for name in found} == set(_STORE)
    return found
