import pytest

from apps.messaging import publishing, rendering
from apps.messaging.models import Template
from apps.workflows import services
from apps.workflows.definition import Send
from apps.workflows.models import WorkflowVersion
from tests.instants import NOON

RECIPES = ["browse-abandonment", "cart-recovery", "cart-recovery-demo", "post-purchase"]
TEMPLATES = services.RECIPES / "templates"


def test_recipes_lists_all_that_come_with_the_product():
    assert [recipe.key for recipe in services.recipes()] == RECIPES


def test_every_mail_of_the_repository_belongs_to_a_recipe():
    steps = [step for recipe in services.recipes() for step in recipe.walk()]

    used = {step.template for step in steps if isinstance(step, Send)}

    assert used == {path.stem for path in TEMPLATES.glob("*.html")}


@pytest.mark.django_db
@pytest.mark.parametrize("key", RECIPES)
def test_a_recipe_installs_once_and_goes_live(key):
    workflow = services.install_recipe(key=key, now=NOON)
    again = services.install_recipe(key=key, now=NOON)

    assert (again, again.status) == (workflow, "draft")
    assert WorkflowVersion.objects.count() == 1
    assert services.go_live(workflow=workflow, now=NOON).status == "live"


@pytest.mark.django_db
def test_a_mail_that_was_changed_stays_as_it_is():
    template = Template.objects.create(key="browse-reminder", name="Mine")
    template.versions.create(number=1, subject="Mine", html="Mine", published_at=NOON)

    services.install_recipe(key="browse-abandonment", now=NOON)

    assert list(template.versions.values_list("subject", flat=True)) == ["Mine"]


@pytest.mark.django_db
def test_an_unknown_recipe_is_refused():
    with pytest.raises(services.UnknownRecipe):
        services.install_recipe(key="../services", now=NOON)


PRODUCT = {
    "name": "Cup & <saucer>",
    "quantity": 2,
    "price": "11.00",
    "total": "22.00",
    "url": "https://shop.example/cup",
    "image_url": "https://shop.example/cup.png",
}
CART = {"items": [PRODUCT], "total": "22.00", "currency": "EUR", "url": "https://a"}
FULL = {"currency": "EUR", "products": [PRODUCT], **PRODUCT}
BARE = {"products": [{}]}


def values(properties, cart, first_name):
    return {
        "first_name": first_name,
        "event": {"name": "A", "properties": properties},
        "cart": cart,
        "links": {
            "preferences": "https://shop.example/preferences",
            "unsubscribe": "https://shop.example/bye",
        },
        "sender": {"name": "Shop", "postal_address": "1 Mill Lane"},
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in TEMPLATES.glob("*.html")))
@pytest.mark.parametrize(
    ("properties", "cart", "first_name"),
    [
        (FULL, CART, "Ada"),
        (BARE, {"items": [{"name": "", "quantity": 1}], "total": "", "url": ""}, ""),
        ({}, {"items": []}, ""),
    ],
)
def test_the_mails_render_with_much_and_with_little(name, properties, cart, first_name):
    html = (TEMPLATES / f"{name}.html").read_text()
    subject = (TEMPLATES / f"{name}.subject").read_text().strip()
    variables = values(properties, cart, first_name)

    prepared = publishing.prepare(subject=subject, html=html)
    body = rendering.render(rendering.compile_html(prepared), variables)
    line = rendering.render_line(rendering.compile_line(subject), variables)

    assert "https://shop.example/bye" in body
    assert "1 Mill Lane" in body
    assert "<saucer>" not in body
    assert "{{" not in body + line
    assert line == line.strip() != ""
