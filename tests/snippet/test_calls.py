"""What a page calls, and what is told with it."""

import pytest

from tests.snippet.site import await_names


def test_identify_alias_and_reset_follow_the_person(page, site):
    page.goto("/quiet")
    page.evaluate("""
        cuepost.consent({tracking: true});
        cuepost.identify("u-1", {email: "ada@example.com"});
        cuepost.track("Known");
        cuepost.alias("u-2");
    """)
    await_names(page, site, ["identify", "Known", "alias"])
    before = page.evaluate("cuepost.anonymousId()")
    page.evaluate("cuepost.reset(); cuepost.track('Unknown')")
    await_names(page, site, ["identify", "Known", "alias", "Unknown"])

    identify, known, alias, unknown = site.messages()
    assert (identify["userId"], identify["traits"]) == ("u-1", {"email": "ada@example.com"})
    assert (known["userId"], known["anonymousId"]) == ("u-1", before)
    assert (alias["userId"], alias["previousId"]) == ("u-2", before)
    assert "userId" not in unknown
    assert unknown["anonymousId"] not in (before, None)


def test_campaign_of_the_landing_page_is_kept_for_the_visit(page, site):
    page.goto(
        "/?utm_source=news&utm_medium=email&utm_campaign=spring&utm_term=mugs&utm_content=top"
    )
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    page.goto("/")
    await_names(page, site, ["page", "page"])

    campaign = {
        "name": "spring",
        "source": "news",
        "medium": "email",
        "term": "mugs",
        "content": "top",
    }
    assert [message["context"]["campaign"] for message in site.messages()] == [campaign, campaign]


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ("product.listed", "Product List Viewed"),
        ("product.searched", "Products Searched"),
        ("product.clicked", "Product Clicked"),
        ("product.viewed", "Product Viewed"),
        ("cart.added", "Product Added"),
        ("cart.removed", "Product Removed"),
        ("cart.viewed", "Cart Viewed"),
        ("wishlist.added", "Product Added to Wishlist"),
        ("wishlist.removed", "Product Removed from Wishlist"),
        ("checkout.started", "Checkout Started"),
        ("checkout.paymentEntered", "Payment Info Entered"),
        ("order.completed", "Order Completed"),
        ("order.updated", "Order Updated"),
        ("order.cancelled", "Order Cancelled"),
        ("order.refunded", "Order Refunded"),
    ],
)
def test_shorthands_bear_the_names_of_segment(page, site, call, event):
    page.goto("/implied")
    page.evaluate(f"cuepost.{call}({{product_id: 'A-1', price: 24}}, {{messageId: 'm-1'}})")
    await_names(page, site, ["page", event])

    assert site.told() == [(event, {"product_id": "A-1", "price": 24})]
    assert site.ids()[-1] == "m-1"


def test_identify_passes_on_the_signature_of_the_server(page, site):
    page.goto("/quiet")
    page.evaluate("""
        cuepost.consent({tracking: true});
        cuepost.identify("u-1", {first_name: "Ada"}, {signature: "abc123"});
    """)
    await_names(page, site, ["identify"])

    identify = site.messages()[0]
    assert (identify["userId"], identify["traits"]) == ("u-1", {"first_name": "Ada"})
    assert identify["context"]["cuepost"] == {"identitySignature": "abc123"}


def test_tokens_of_advertisers_go_with_the_campaign_and_stay_out_of_addresses(page, site):
    page.goto("/?utm_source=ads&gclid=g-1&color=red&fbclid=f-1")
    page.evaluate("cuepost.consent({tracking: true})")
    await_names(page, site, ["page"])
    page.goto("/")
    await_names(page, site, ["page", "page"])

    first, second = (message["context"] for message in site.messages())
    campaign = {"source": "ads", "gclid": "g-1", "fbclid": "f-1"}
    assert (first["campaign"], second["campaign"]) == (campaign, campaign)
    assert first["page"]["search"] == "?utm_source=ads&color=red"
    assert first["page"]["url"] == f"{site.url}/?utm_source=ads&color=red"


def test_tokens_of_advertisers_are_not_told_after_a_no_to_sharing(page, site):
    page.goto("/?utm_source=ads&gclid=g-1")
    page.evaluate("cuepost.consent({tracking: true, sale_or_sharing: false})")
    await_names(page, site, ["page"])

    assert site.messages()[0]["context"]["campaign"] == {"source": "ads"}


def test_tokens_of_advertisers_are_not_told_under_the_privacy_signal(page, site):
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page.goto("/?utm_source=ads&gclid=g-1")
    page.evaluate("cuepost.consent({tracking: true, sale_or_sharing: true})")
    await_names(page, site, ["page"])

    context = site.messages()[0]["context"]
    assert context["campaign"] == {"source": "ads"}
    assert context["consent"] == {
        "gpc": True,
        "categoryPreferences": {"tracking": True, "sale_or_sharing": False},
    }


def test_the_proof_of_a_choice_goes_with_the_next_event_alone(page, site):
    page.goto("/quiet")
    page.evaluate("""
        cuepost.consent({tracking: true}, {method: "banner", wordingVersion: "banner-2"});
        cuepost.track("A");
        cuepost.track("B");
    """)
    await_names(page, site, ["A", "B"])

    assert [message["context"]["consent"] for message in site.messages()] == [
        {
            "method": "banner",
            "wordingVersion": "banner-2",
            "categoryPreferences": {"tracking": True},
        },
        {"categoryPreferences": {"tracking": True}},
    ]
