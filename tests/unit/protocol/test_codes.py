import re

import pytest

from protocol.codes import ErrorCode, Permanence
from protocol.events import ErrorBody

CONTRACT = {
    Permanence.PERMANENT: {
        "invalid_command",
        "unsupported",
        "id_conflict",
        "not_on_whatsapp",
        "invalid_recipient",
        "group_unavailable",
        "rejected",
        "opted_out",
        "cancelled",
        "other_number",
        "restored",
        "media_invalid",
        "expired",
    },
    Permanence.TRANSIENT: {"media_unavailable", "not_encrypted", "rate_limited", "server_error", "store_failed"},
    Permanence.NOT_CONNECTED: {"not_connected"},
    Permanence.RESTRICTED: {"restricted"},
    Permanence.UNKNOWN: {"outcome_unknown", "internal"},
}


def test_the_list_of_codes_is_closed_and_each_has_its_permanence() -> None:
    found = {
        permanence: {code.value for code in ErrorCode if code.permanence is permanence} for permanence in Permanence
    }
    assert found == CONTRACT


def test_no_two_codes_share_a_wire_name() -> None:
    assert len(ErrorCode.__members__) == len(list(ErrorCode)) == sum(map(len, CONTRACT.values()))


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_found_by_its_wire_name_and_says_what_it_means(code: ErrorCode) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code.value)
    assert code.name == code.value.upper()
    assert ErrorCode(code.value) is code  # type: ignore[call-arg]  # mypy takes __new__ for the call
    assert code.meaning


@pytest.mark.parametrize("code", ErrorCode)
def test_permanence_goes_with_the_code_onto_the_wire(code: ErrorCode) -> None:
    body = ErrorBody.of(code, "said by a port")
    assert (body.code, body.permanent) == (code.value, code.permanence is Permanence.PERMANENT)
