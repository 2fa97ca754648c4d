"""Warnings by SMTP; the message's id follows from its key, so that a repeated one is seen as the same."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from retention.catalogue.tables import timestamp
from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import MailSettings, secret
from tickets.steps.base import as_time


def send_mail(settings: MailSettings, key: str, title: str, text: str, recipients: Sequence[str]) -> None:
    """Send a mail.

    Raises:
        DeliveryError: the server does not answer, or asks for another try (4xx).
        DeliveryRefusedError: it refuses sender, recipients or message (5xx), or the sign-in.
        SettingsError: the password is not set.
    """
    message = compose(settings, key, title, text, recipients)
    try:
        with _connected(settings) as server:
            if settings.user:
                server.login(settings.user, secret(settings.password_variable, "The mail server"))
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(f"all recipients were refused ({_codes(error.recipients)})") from error
    except smtplib.SMTPResponseException as error:
        if 400 <= error.smtp_code < 500:
            raise DeliveryError(f"The mail server answered {error.smtp_code}.", cure="It is tried again.") from error
        raise _refused(f"it answered {error.smtp_code}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(
            f"The mail server {settings.host}:{settings.port} cannot be used: {type(error).__name__}.",
            cure="It is tried again; check [tickets.mail].",
        ) from error


def compose(settings: MailSettings, key: str, title: str, text: str, recipients: Sequence[str]) -> EmailMessage:
    """The message; line breaks in a title never become headers."""
    message = EmailMessage()
    message["Subject"] = " ".join(title.split())[:200]
    message["From"] = settings.sender
    message["To"] = ", ".join(recipients)
    message["Message-ID"] = f"<{key}@{Address(addr_spec=settings.sender).domain or 'localhost'}>"
    message["Date"] = format_datetime(as_time(timestamp()))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _connected(settings: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_seconds, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds)
    if settings.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _codes(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(sorted({str(code) for code, _ in refused.values()}))


def _refused(why: str) -> DeliveryRefusedError:
    return DeliveryRefusedError(f"The mail server refused the message: {why}.", cure="Check [tickets.mail].")
