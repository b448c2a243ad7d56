"""`manage.py import_products`, as somebody types it."""

import gzip
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.commerce.models import Product

pytestmark = pytest.mark.django_db


@pytest.fixture
def write(tmp_path):
    def write(content, name="catalog.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def run(*arguments):
    out = StringIO()
    call_command("import_products", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_catalog_comes_in_and_the_report_is_printed(write):
    path = write(
        "product_id,name,price,currency,brand\n"
        'cup,"Cup, large",11.00,EUR,Kiln\n'
        "pot,Pot,much,EUR,Kiln\n"
        "\n"
        "tea,Tea,4,EUR\n"
        ",Jug,4,EUR,Kiln\n"
        "jar,Jar,4,EUR,Kiln,surplus\n"
    )

    assert run(path) == [
        "Products: 2 made, 0 changed, 0 as before, 3 rows refused.",
        "  bad_price: 1",
        "  missing_product_id: 1",
        "  too_many_cells: 1",
        "  row 3 (pot): bad_price",
        "  row 6: missing_product_id",
        "  row 7 (jar): too_many_cells",
    ]
    assert list(Product.objects.order_by("key").values_list("key", "name")) == [
        ("cup", "Cup, large"), ("tea", "Tea"),
    ]  # fmt: skip
    assert run(path)[0] == "Products: 0 made, 0 changed, 2 as before, 3 rows refused."


def test_columns_may_have_other_names(write):
    path = write(gzip.compress("\ufeffSKU;Título;PVP\nC-1;Taza;11.00\n".encode()))
    arguments = ["--map", "product_id=SKU", "--map", "name=Título", "--map", "price=PVP"]

    run(path, *arguments, "--set", "currency=EUR", "--delimiter", ";")

    assert Product.objects.values_list("key", "name", "currency").get() == ("C-1", "Taza", "EUR")


def test_many_refusals_are_summed_up(write):
    path = write("product_id,name,price,currency\n" + "cup,Cup,x,EUR\n" * 25)

    assert run(path)[1:2] + run(path)[-1:] == ["  bad_price: 25", "  and 5 more rows"]


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        ("", [], "catalog.csv is empty; its first row has to name the columns."),
        ("\n\n", [], "catalog.csv is empty; its first row has to name the columns."),
        ("a,b\n1,2\n", [], "catalog.csv has no column “product_id”; it has a, b."),
        ("a;b\n1;2\n", [], "catalog.csv has one column only; is it divided by “;”? Say --"),
        ("product_id,name,price,currency,name\n", [], "catalog.csv has 2 columns named “name”."),
        ("product_id,name,price,currency\n", ["--map", "sku=S"],
         "catalog.csv has no column “S”; it has product_id, name, price, currency."),
        ("a\n".encode("utf-16"), [], "catalog.csv is not UTF-8; save it in that encoding."),
        ("a\n", ["--map", "stock=S"], "--map stock=S: write FIELD=…, with one of "),
        ("a\n", ["--set", "currency"], "--set currency: write FIELD=…, with one of "),
        ("a\n", ["--delimiter", ";;"], "The delimiter is one character."),
        (b"\x1f\x8bbroken", [], "catalog.csv can't be read: "),
        ('product_id,name,price,currency\ncup,"' + "x" * 200_000, [],
         "catalog.csv can't be read at row 2: field larger than field limit"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(write, content, arguments, sentence):
    with pytest.raises(CommandError) as raised:
        run(write(content), *arguments)

    assert str(raised.value).startswith(sentence)
    assert not Product.objects.exists()


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="can't be opened: No such file or directory"):
        run(str(tmp_path / "none.csv"))
