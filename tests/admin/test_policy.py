"""What the browser may do on which page."""

import pytest
from django.urls import reverse


def directives(answer):
    header = answer.headers["Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in header.split(";"))


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/"])
def test_the_admin_may_evaluate_its_attributes_and_use_inline_styles(staff, path):
    policy = directives(staff.get(path, follow=True))

    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"


@pytest.mark.parametrize("path", ["/demo/", "/healthz", "/administration", "/e/u/forged"])
def test_every_other_page_keeps_the_strict_policy(client, db, path):
    policy = directives(client.get(path))

    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"


def test_staff_is_sent_back_to_where_they_wanted(client, boss):
    boss.set_password("a-long-one-for-tests")
    boss.save()
    wanted = reverse("admin:contacts_contact_changelist")

    login = client.get(wanted)
    answer = client.post(login.url, {"username": "boss", "password": "a-long-one-for-tests"})

    assert (answer.status_code, answer.url) == (302, wanted)
