"""The statements of the files in ``sql/``, each a field under its name."""

import re
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """One SQL statement per field; what each does is said in the files."""

    # commands.sql
    select_known: str
    select_last: str
    insert_command: str
    insert_body: str
    select_unfinished: str
    select_scheduled: str
    select_owned: str
    select_asleep: str
    wake_command: str
    select_state: str
    begin_again: str
    put_to_sleep: str
    discard_command: str
    select_command: str
    select_page_of_state: str
    select_page_to_send: str
    # results.sql
    select_runs: str
    settle_attempt: str
    doubt_attempt: str
    insert_failure: str
    finish_command: str
    select_last_place: str
    insert_result: str
    delete_body: str
    mark_first_sent: str
    mark_published: str
    begin_attempt: str
    select_unpublished: str
    select_failed: str
    select_senders: str
    select_unsettled: str
    insert_stray: str
    select_room_for_strays: str
    select_any_stray: str
    claim_strays: str
    select_proven: str
    note_delivered: str
    note_read: str
    note_played: str
    select_overdue: str
    clear_deadline: str
    select_next_deadline: str
    count_sendings: str
    # inbound.sql
    select_claimed: str
    select_last_claim: str
    insert_claim: str
    insert_spooled: str
    add_size: str
    select_spooled: str
    delete_spooled: str
    select_people: str
    note_in: str
    note_out: str
    select_registered: str
    register_channel: str
    select_traced: str
    mark_traced: str
    select_paired: str
    mark_paired: str
    # whole.sql
    count_commands: str
    count_spooled: str
    select_size: str
    forget_commands: str
    forget_spool: str
    forget_claims: str
    forget_people: str
    forget_strays: str
    forget_channel: str
    select_channels: str
    sweep_commands: str
    sweep_claims: str
    sweep_strays: str
    # people.sql
    export_numbers: str
    export_commands: str
    export_results: str
    export_spool: str
    export_people: str
    select_consents: str
    select_last_consent: str
    insert_consent: str
    insert_consenting: str
    note_consent: str
    select_opted_out: str
    count_under_way: str
    erase_commands: str
    erase_spooled: str
    select_consents_to_keep: str
    erase_consents: str
    erase_people: str
    strip_people: str
    sweep_people: str
    sweep_consents: str
    forget_consents: str
    # resealing.sql
    select_commands_sealed: str
    reseal_command: str
    select_bodies_sealed: str
    reseal_body: str
    select_results_sealed: str
    reseal_result: str
    select_failures_sealed: str
    reseal_failure: str
    select_claims_sealed: str
    reseal_claim: str
    select_spool_sealed: str
    reseal_spooled: str
    select_channels_sealed: str
    reseal_channel: str
    put_people_aside: str
    delete_people: str
    select_people_sealed: str
    put_person_back: str
    drop_people_aside: str
    delete_consenting: str
    select_consents_sealed: str
    reseal_consent: str
    change_key: str


def split_named(text: str) -> dict[str, str]:
    """The parts of ``text`` that begin with a line ``-- name: <name>``, without that line.

    Raises:
        ValueError: two parts have the same name.
    """
    _, *found = _NAME.split(text)
    names, bodies = found[::2], found[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"a name is given twice: {sorted(names)}")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


@cache
def load_queries() -> Queries:
    """The files, read once.

    Raises:
        ValueError: the files and the fields of ``Queries`` do not say the same names.
    """
    texts = [
        file.read_text(encoding="utf-8")
        for file in sorted((files("gateway.store") / "sql").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql")
    ]
    named = split_named("\n".join(texts))
    wanted = {field.name for field in fields(Queries)}
    if named.keys() != wanted:
        raise ValueError(f"the files in sql/ and Queries differ in {sorted(named.keys() ^ wanted)}")
    return Queries(**named)
