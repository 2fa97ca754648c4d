"""Notices by mail: whom they reach, what a mail server's refusal means, and one that fails beside one that goes out."""

from __future__ import annotations

import email.policy
from dataclasses import replace

import pytest

from tests.tickets.receivers import Mailbox, smtp_receiver
from tests.tickets.sending import step
from tickets.messages import put
from tickets.notices import notify
from tickets.service import Desk
from tickets.settings import MailSettings, TicketSettings


@pytest.fixture
def mailbox():
    with smtp_receiver() as box:
        yield box


def mailing(desk: Desk, box: Mailbox) -> Desk:
    mail = MailSettings(
        host="127.0.0.1",
        port=box.port,
        security="none",
        recipients=("duty@example.cn",),
        escalation=("head@example.cn",),
    )
    return replace(desk, settings=TicketSettings(mail=mail))


def test_notices_reach_the_mailbox_in_chinese(desk: Desk, mailbox: Mailbox) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        for escalate in (False, True):
            notify(
                connection,
                desk.bodies,
                sending.settings,
                key=f"k{escalate}",
                subject="clock",
                title="三件超时\nBcc: evil@example.cn",
                lines=[f"T{n}" for n in range(30)],
                escalate=escalate,
            )
    assert step(sending).sent == 2
    (first, _), (second, data) = mailbox.mails[0], mailbox.mails[1]
    assert len(first) == 1
    assert len(second) == 2, "an escalation goes to the head too"
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert "三件超时 Bcc: evil@example.cn" in message["Subject"]
    assert message["Bcc"] is None
    assert "另有 10 条" in message.get_content()


@pytest.mark.parametrize(("answer", "outcome"), [(b"451 later", "again"), (b"550 no", "failed")])
def test_a_mail_server_s_refusals_decide(desk: Desk, mailbox: Mailbox, answer: bytes, outcome: str) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        notify(connection, desk.bodies, sending.settings, key="k", subject="s", title="t", lines=["l"])
    mailbox.refuse = answer
    assert getattr(step(sending), outcome) == 1


def test_one_message_that_fails_does_not_stop_the_next(desk: Desk, mailbox: Mailbox) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        put(connection, desk.bodies, channel="robot:gone", subject="s", key="1", body={"title": "t", "text": "x"})
        notify(connection, desk.bodies, sending.settings, key="2", subject="s", title="t", lines=["l"])
    found = step(sending)
    assert (found.sent, found.failed) == (1, 1)
