from itertools import product

import pytest

from protocol.access import GRANTED, NODE, RPC_PERMISSION, Caller, Permission, Role
from protocol.subjects import ClinicVerb, Verb

ALL = Caller(id="k", role=Role.VIEWER)
ACME = Caller(id="k", role=Role.VIEWER, clinics=frozenset({"acme"}))


def test_every_request_over_nats_has_a_permission_and_none_is_open() -> None:
    assert set(RPC_PERMISSION) == {*Verb, *ClinicVerb}
    assert Permission.OPEN not in RPC_PERMISSION.values()


def test_every_role_is_granted_something_and_more_than_the_one_below() -> None:
    assert [GRANTED[role] for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN)] == [1, 2, 3]
    assert set(GRANTED) == set(Role)


@pytest.mark.parametrize(("role", "permission"), [*product(Role, Permission)])
def test_a_role_is_good_for_what_it_is_granted_and_all_below(role: Role, permission: Permission) -> None:
    assert Caller(id="k", role=role).may(permission) is (GRANTED[role] >= permission)


@pytest.mark.parametrize(
    ("caller", "clinic", "sees"),
    [(ALL, "acme", True), (ALL, None, True), (ACME, "acme", True), (ACME, "bela", False), (ACME, None, False)],
)
def test_a_caller_sees_its_clinics_and_only_one_for_all_sees_the_node(
    caller: Caller, clinic: str | None, sees: bool
) -> None:
    assert caller.sees(clinic) is sees


def test_the_node_may_do_everything() -> None:
    assert NODE.sees(None)
    assert NODE.may(Permission.ADMINISTER)
