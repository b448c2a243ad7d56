"""Consent that other systems ask for: Google's consent mode, and platforms of the IAB's kind."""

import json
from typing import Any

import pytest

from tests.snippet.site import await_names, choice_of, settle, storage_of, tag

GTAG = """<script>
    window.dataLayer = window.dataLayer || [];
    function gtag() { dataLayer.push(arguments); }
</script>"""
MODE = 'data-auto-page="false" data-consent-mode="on"'
CMP = """<script>
    window.listeners = [];
    window.decide = (status, consents, applies) => listeners.forEach((listener) => listener({
        tcString: "CP-string", gdprApplies: applies !== false, eventStatus: status,
        purpose: {consents},
    }, true));
    window.start = () => {
        window.__tcfapi = (command, version, listener) => {
            if (command === "addEventListener" && version === 2) listeners.push(listener);
        };
    };
    %s
</script>"""
ALL = {str(number): True for number in range(1, 12)}
GRANTED = {"analytics_storage": "granted"}
DENIED = {"analytics_storage": "denied"}


def gtag(page: Any, command: str, signals: dict[str, Any]) -> None:
    page.evaluate(f"gtag('consent', '{command}', {json.dumps(signals)})")


def updates(page: Any) -> list[dict[str, str]]:
    """What Google's tags have been told by us or by the page."""
    told: list[dict[str, str]] = page.evaluate(
        "dataLayer.filter((entry) => entry[1] === 'update').map((entry) => entry[2])"
    )
    return told


@pytest.fixture
def google(page, site) -> Any:
    site.pages["/google"] = GTAG + tag(MODE)
    page.goto("/google")
    return page


# --- Google's consent mode ------------------------------------------------------------------------


def test_an_update_of_googles_signals_is_the_visitors_choice(google, site):
    gtag(google, "update", {**GRANTED, "personalization_storage": "denied"})
    google.evaluate("cuepost.track('A')")
    await_names(google, site, ["A"])

    assert choice_of(google) == "tracking:1.personalisation:0"
    assert site.messages()[0]["context"]["consent"]["method"] == "cmp"


def test_a_no_by_googles_signals_takes_everything_back(google, site):
    gtag(google, "update", GRANTED)
    google.evaluate("cuepost.track('A')")
    await_names(google, site, ["A"])
    gtag(google, "update", DENIED)
    google.evaluate("cuepost.track('B')")
    await_names(google, site, ["A", "Consent Preference Updated"])

    assert (choice_of(google), storage_of(google)) == ("tracking:0", {})


@pytest.mark.parametrize(
    ("ads", "choice"),
    [
        (["granted", "granted", "granted"], "sale_or_sharing:1"),
        (["granted", "denied", "granted"], "sale_or_sharing:0"),
        (["granted", "granted"], ""),
        (["denied"], "sale_or_sharing:0"),
    ],
)
def test_the_three_signals_about_ads_have_to_agree(google, ads, choice):
    names = ["ad_storage", "ad_user_data", "ad_personalization"]
    gtag(google, "update", dict(zip(names, ads, strict=False)))

    assert choice_of(google) == choice


def test_a_default_is_nobodys_choice(google, site):
    gtag(google, "default", GRANTED)
    google.evaluate("cuepost.track('A')")
    settle(google)

    assert (site.received, choice_of(google)) == ([], "")


def test_a_default_of_no_holds_back_what_would_be_implied(page, site):
    denied = "<script>gtag('consent', 'default', {analytics_storage: 'denied'})</script>"
    site.pages["/held"] = GTAG + denied + tag('data-consent="implied" data-consent-mode="on"')
    page.goto("/held")
    settle(page)
    before = (list(site.received), choice_of(page), storage_of(page))
    gtag(page, "update", GRANTED)

    assert before == ([], "", {})
    await_names(page, site, ["page"])


def test_the_choice_of_our_banner_is_told_to_google_and_again_on_the_next_page(google, site):
    google.evaluate("cuepost.consent({tracking: true, sale_or_sharing: false})")
    told = updates(google)
    google.goto("/google")

    assert told == updates(google)
    assert told == [
        {
            "analytics_storage": "granted",
            "ad_storage": "denied",
            "ad_user_data": "denied",
            "ad_personalization": "denied",
        }
    ]


def test_google_is_told_what_its_tags_read(google):
    google.evaluate("cuepost.consent({tracking: true})")

    kinds = google.evaluate("dataLayer.map((entry) => Object.prototype.toString.call(entry))")
    assert kinds == ["[object Arguments]"]


def test_what_google_says_is_not_said_back(google):
    gtag(google, "update", GRANTED)
    gtag(google, "update", GRANTED)

    assert updates(google) == [GRANTED, GRANTED]


def test_the_privacy_signal_refuses_ads_whatever_is_clicked(page, site):
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    site.pages["/google"] = GTAG + tag(MODE)
    page.goto("/google")
    page.evaluate("cuepost.consent({tracking: true, sale_or_sharing: true})")

    assert choice_of(page) == "tracking:1.sale_or_sharing:0"
    assert updates(page)[-1]["ad_user_data"] == "denied"
    assert updates(page)[-1]["analytics_storage"] == "granted"


def test_google_is_neither_heard_nor_told_unless_that_is_asked_for(page, site):
    site.pages["/alone"] = GTAG + tag()
    page.goto("/alone")
    gtag(page, "update", GRANTED)
    before = choice_of(page)
    page.evaluate("cuepost.consent({tracking: false})")

    assert (before, updates(page)) == ("", [GRANTED])


# --- the IAB's transparency and consent framework -------------------------------------------------


def with_cmp(page: Any, site: Any, attributes: str = "data-tcf", *, is_late: bool = False) -> None:
    start = "addEventListener('load', start, {capture: true})" if is_late else "start()"
    site.pages["/cmp"] = CMP % start + tag(attributes)
    page.goto("/cmp")


def decide(page: Any, status: str, consents: dict[str, bool], applies: str = "true") -> None:
    page.evaluate(f"decide('{status}', {json.dumps(consents)}, {applies})")


@pytest.mark.parametrize("is_late", [False, True])
def test_a_yes_on_a_consent_platform_brings_its_string_along_once(page, site, is_late):
    with_cmp(page, site, is_late=is_late)
    decide(page, "useractioncomplete", ALL)
    page.evaluate("cuepost.track('A')")
    await_names(page, site, ["page", "A"])

    first, second = (message["context"]["consent"] for message in site.messages())
    choice = {"tracking": True, "personalisation": True, "sale_or_sharing": True}
    assert first == {"method": "cmp", "tcString": "CP-string", "categoryPreferences": choice}
    assert second == {"categoryPreferences": choice}


@pytest.mark.parametrize(
    ("attributes", "consents", "choice"),
    [
        ("data-tcf", {}, "tracking:0.personalisation:0.sale_or_sharing:0"),
        ("data-tcf", {"1": True}, "tracking:0.personalisation:0.sale_or_sharing:0"),
        ("data-tcf", {"8": True}, "tracking:0.personalisation:0.sale_or_sharing:0"),
        ("data-tcf", {"1": True, "8": True}, "tracking:1.personalisation:0.sale_or_sharing:0"),
        ('data-tcf="tracking:1+8+9"', {"1": True, "8": True}, "tracking:0"),
        ('data-tcf="tracking:1 sale_or_sharing:4"', ALL, "tracking:1.sale_or_sharing:1"),
    ],
)
def test_each_purpose_needs_all_of_the_iabs(page, site, attributes, consents, choice):
    with_cmp(page, site, attributes)
    decide(page, "tcloaded", consents)

    assert choice_of(page) == choice


@pytest.mark.parametrize(("status", "applies"), [("cmpuishown", "true"), ("tcloaded", "false")])
def test_what_is_no_decision_decides_nothing(page, site, status, applies):
    with_cmp(page, site)
    decide(page, status, ALL, applies)
    settle(page)

    assert (choice_of(page), site.received) == ("", [])


def test_a_no_on_a_consent_platform_is_told_and_purges(page, site):
    with_cmp(page, site)
    decide(page, "tcloaded", ALL)
    await_names(page, site, ["page"])
    decide(page, "useractioncomplete", {})
    await_names(page, site, ["page", "Consent Preference Updated"])

    told = site.messages()[-1]["context"]["consent"]
    assert (told["method"], told["tcString"]) == ("cmp", "CP-string")
    assert set(told["categoryPreferences"].values()) == {False}
    assert storage_of(page) == {}


def test_a_consent_platform_is_not_asked_unless_that_is_configured(page, site):
    with_cmp(page, site, "")

    assert page.evaluate("listeners.length") == 0
