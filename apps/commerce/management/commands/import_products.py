"""`manage.py import_products FILE.csv`: the catalog, from a file that a shop exports."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.commerce import services
from apps.core.sheets import FIRST_ROW, SURPLUS, BadSheet, Sheet, open_sheet

FIELDS = (
    "product_id", "sku", "name", "description", "category", "brand", "url", "image_url", "price",
    "currency", "is_available",
)  # fmt: skip
NEEDED = ("product_id", "name", "price", "currency")
SHOWN = 20


class Command(BaseCommand):
    help = (
        "Make and change products from a CSV file with a row of column names. A product is known "
        "by its product_id; products that the file doesn't name stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="The CSV file (UTF-8), packed with gzip or not.")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help=f"Where the file's column has another name. Fields: {', '.join(FIELDS)}.",
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="The same for all, for example currency=EUR.",
        )
        parser.add_argument("--delimiter", default=",", help="What divides the columns.")

    def handle(self, *args: Any, **options: Any) -> None:
        columns = _read_pairs("--map", options["map"])
        constants = _read_pairs("--set", options["set"])
        delimiter = "\t" if options["delimiter"] in ("tab", "\\t") else options["delimiter"]
        try:
            with open_sheet(options["file"], delimiter=delimiter) as sheet:
                found = _columns(sheet, columns, constants)
                report = services.import_products(
                    rows=_rows(sheet, found, constants),
                    now=timezone.now(),
                    first_row=FIRST_ROW,
                )
        except BadSheet as problem:
            raise CommandError(str(problem)) from problem
        self._tell(report)

    def _tell(self, report: services.CatalogReport) -> None:
        self.stdout.write(
            f"Products: {report.created:,} made, {report.updated:,} changed, "
            f"{report.unchanged:,} as before, {len(report.refused):,} rows refused."
        )
        for reason, count in report.reasons().most_common():
            self.stdout.write(f"  {reason}: {count:,}")
        for refusal in report.refused[:SHOWN]:
            named = f" ({refusal.product_id})" if refusal.product_id else ""
            self.stdout.write(f"  row {refusal.row}{named}: {refusal.reason}")
        if len(report.refused) > SHOWN:
            self.stdout.write(f"  and {len(report.refused) - SHOWN:,} more rows")


def _read_pairs(option: str, pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or name not in FIELDS:
            raise CommandError(f"{option} {pair}: write FIELD=…, with one of {', '.join(FIELDS)}.")
        found[name] = value
    return found


def _columns(sheet: Sheet, given: dict[str, str], constants: dict[str, str]) -> dict[str, str]:
    """Which column holds each field; those that are needed have to be there."""
    found = {name: given.get(name, name) for name in FIELDS if name not in constants}
    for name, column in found.items():
        if name in given or name in NEEDED or column in sheet.columns:
            sheet.need(column)
    return {name: column for name, column in found.items() if column in sheet.columns}


def _rows(
    sheet: Sheet, columns: dict[str, str], constants: dict[str, str]
) -> Iterator[dict[str | None, str]]:
    for row in sheet.rows():
        product: dict[str | None, str] = {
            name: row[column] for name, column in columns.items() if row
        }
        if product:
            product.update(constants)
        if SURPLUS in row:
            product[SURPLUS] = row[SURPLUS]
        yield product
