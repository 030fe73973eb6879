"""Accounts, and the logins that are issued for them."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.nats.accounts import MOST_ISSUED, Accounts, Credential, Issued, Kind, Role
from protocol.errors import AlreadyExistsError, ConflictError, InvalidIdError, NotFoundError

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ACME = "clinic-acme"


def with_clinics(*clinics: str) -> Accounts:
    """Fresh accounts with those of ``clinics``."""
    accounts = Accounts.fresh()
    for clinic in clinics:
        accounts = accounts.with_clinic(clinic)
    return accounts


@pytest.mark.parametrize("clinic", ["acme\n", "Acme", "", "a.b", "a*", "acme }", '"', "-a", "a" * 64])
def test_what_is_no_identifier_is_refused(clinic: str) -> None:
    with pytest.raises(InvalidIdError):
        Accounts.fresh().with_clinic(clinic)


def test_a_clinic_keeps_its_credentials_until_it_is_removed() -> None:
    one = with_clinics("acme")
    assert one.with_clinic("acme") is one
    assert one.without_clinic("other") is one
    assert one.clinics == ["acme"]
    again = one.without_clinic("acme").with_clinic("acme")
    assert again.find("clinic-acme", Role.SERVICE) != one.find("clinic-acme", Role.SERVICE)
    with pytest.raises(NotFoundError, match=r"service.*plantao"):
        one.find("plantao", Role.SERVICE)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Credential("user", "secret"))


def test_a_login_is_issued_rotated_and_revoked_and_the_others_stay_as_they_are() -> None:
    before = with_clinics("acme", "bela")
    issued = before.issue(ACME, "reminders", Kind.SENDER, NOW)
    login = issued.login(ACME, "reminders")
    assert isinstance(login, Issued)
    assert (login.kind, login.credential.user) == (Kind.SENDER, "clinic-acme.reminders")
    rotated = issued.rotate(ACME, "reminders")
    again = rotated.login(ACME, "reminders")
    assert isinstance(again, Issued)
    assert again.credential.user == login.credential.user
    assert again.credential.password != login.credential.password
    assert rotated.revoke(ACME, "reminders") == before
    assert issued.without_clinic("acme").issued == {}
    with pytest.raises(AlreadyExistsError):
        issued.issue(ACME, "reminders", Kind.SERVICE, NOW)
    with pytest.raises(NotFoundError):
        before.revoke(ACME, "reminders")
    with pytest.raises(NotFoundError):
        before.issue("clinic-nobody", "reminders", Kind.SENDER, NOW)


@pytest.mark.parametrize("name", ["plantao", "service"])
def test_the_logins_that_every_account_has_cannot_be_issued(name: str) -> None:
    with pytest.raises(AlreadyExistsError):
        with_clinics("acme").issue(ACME, name, Kind.SERVICE, NOW)


def test_the_service_of_a_clinic_can_be_rotated_and_revoked_that_of_the_platform_only_rotated() -> None:
    accounts = with_clinics("acme")
    assert accounts.rotate(ACME, "service").find(ACME, Role.SERVICE) != accounts.find(ACME, Role.SERVICE)
    revoked = accounts.revoke(ACME, "service")
    assert revoked.logins(ACME) == {}
    assert revoked.with_clinic("acme") is revoked
    assert accounts.rotate("platform", "service") != accounts
    with pytest.raises(ConflictError, match=r"node\.json"):
        accounts.revoke("platform", "service")
    with pytest.raises(NotFoundError):
        accounts.revoke(ACME, "plantao")


def test_a_login_is_good_until_it_expires() -> None:
    accounts = with_clinics("acme").issue(ACME, "panel", Kind.LISTENER, NOW, NOW + timedelta(hours=1))
    accounts = accounts.issue(ACME, "later", Kind.LISTENER, NOW, NOW + timedelta(hours=2))
    assert accounts.next_expiry(NOW) == NOW + timedelta(hours=1)
    assert set(accounts.valid(NOW).logins(ACME)) == {"service", "panel", "later"}
    assert set(accounts.valid(NOW + timedelta(hours=1)).logins(ACME)) == {"service", "later"}
    assert accounts.next_expiry(NOW + timedelta(hours=1)) == NOW + timedelta(hours=2)
    assert accounts.next_expiry(NOW + timedelta(hours=2)) is None


def test_an_account_has_only_so_many_logins() -> None:
    accounts = with_clinics("acme")
    for number in range(MOST_ISSUED - 1):
        accounts = accounts.issue(ACME, f"n{number}", Kind.SENDER, NOW)
    with pytest.raises(ConflictError, match="revoke"):
        accounts.issue(ACME, "one-more", Kind.SENDER, NOW)
