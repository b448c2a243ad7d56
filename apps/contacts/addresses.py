"""E-mail addresses in the one form that we store and compare."""

from email_validator import EmailNotValidError, validate_email

MAX_LENGTH = 254


def normalize_email(text: object) -> str | None:
    """Return the address in lower case with an ASCII domain, or None where it is no address.

    Hosts that tell `Ada@` from `ada@` are unheard of; people who write both are not. So the part
    before the @ is lowered as well. Nothing is looked up in the DNS.
    """
    if not isinstance(text, str) or not 3 <= len(text) <= 2 * MAX_LENGTH:
        return None
    try:
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError):
        return None
    address = f"{found.local_part}@{found.ascii_domain}".lower()
    return address if len(address) <= MAX_LENGTH else None
