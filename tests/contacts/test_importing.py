"""Rows of a file become contacts, or are refused with a reason."""

import os
from datetime import timedelta

import pytest

from apps.contacts import fields, importing, services, uploads
from apps.contacts.models import Contact, Identity, ImportedName, ImportJob, ImportRow
from apps.contacts.resources import BadMapping
from tests.contacts.sheets import check, counts, refused, take_in, upload, work
from tests.factories.contacts import ContactFactory, ContactFieldFactory, IdentityFactory
from tests.instants import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def home(settings, tmp_path):
    settings.CUEPOST_HOME = tmp_path
    return tmp_path


def everything() -> list[dict]:
    return [
        *Contact.objects.order_by("pk").values(),
        *Identity.objects.order_by("kind", "value").values(),
    ]


# --- who is meant ---


def test_new_people_are_made_with_their_names():
    ContactFieldFactory(key="age", kind="number")

    job = take_in(
        "E-Mail;User ID;First name;age;Country\nAda@Example.COM;u-1;Ada;36;gb\n;u-2;Grace;;\n"
    )

    assert (job.status, counts(job)) == ("done", (2, 0, 0, 0))
    ada, grace = Contact.objects.order_by("external_id")
    assert (ada.email, ada.first_name, ada.country, ada.attributes) == (
        "ada@example.com", "Ada", "GB", {"age": 36},
    )  # fmt: skip
    assert (grace.email, grace.external_id, grace.attributes) == (None, "u-2", {})
    assert set(ada.identities.values_list("kind", "value", "is_trusted")) == {
        ("email", "ada@example.com", True),
        ("user_id", "u-1", True),
    }


def test_a_known_person_is_found_by_user_id_first_and_empty_cells_say_nothing():
    ada = ContactFactory(email="old@example.com", external_id="u-1", first_name="Ada", phone="1")

    job = take_in("user_id,email,first_name,phone\nu-1,new@example.com,Augusta,\n")

    ada.refresh_from_db()
    assert counts(job) == (0, 1, 0, 0)
    assert (ada.email, ada.first_name, ada.phone) == ("new@example.com", "Augusta", "1")
    assert set(ada.identities.values_list("value", flat=True)) == {"new@example.com", "u-1"}


def test_a_known_person_is_found_by_address_and_gets_the_user_id():
    ada = ContactFactory(email="ada@example.com")

    job = take_in("user_id,email\nu-1,ADA@example.com\n")

    ada.refresh_from_db()
    assert (counts(job), ada.external_id) == ((0, 1, 0, 0), "u-1")


def test_who_is_known_by_a_column_alone_is_found():
    ada = Contact.objects.create(email="ada@example.com", external_id="u-1")

    job = take_in("user_id,first_name\nu-1,Ada\n")

    ada.refresh_from_db()
    assert (counts(job), ada.first_name) == ((0, 1, 0, 0), "Ada")


def test_the_same_file_again_changes_nothing():
    ContactFieldFactory(key="teas", kind="list")
    text = "user_id,email,name,teas\nu-1,ada@example.com,Ada King,oolong; sencha\n"
    take_in(text)
    before = everything()

    job = take_in(text)

    assert counts(job) == (0, 0, 1, 0)
    assert everything() == before


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u-1,grace@example.com", "The user ID belongs to one contact and the address to another."),
        ("u-9,grace@example.com", "The address belongs to a contact with another user ID."),
    ],
)
def test_two_people_are_never_made_one(row, reason):
    ContactFactory(email="ada@example.com", external_id="u-1")
    ContactFactory(email="grace@example.com", external_id="u-2")
    before = everything()

    job = take_in(f"user_id,email,first_name\n{row},Mixed\n")

    assert refused(job) == [(2, reason)]
    assert everything() == before


def test_an_address_that_only_a_browser_has_told_goes_to_whom_the_file_gives_it():
    claimed = ContactFactory(email=None, external_id=None)
    Contact.objects.filter(pk=claimed.pk).update(email="ada@example.com", external_id="x-1")
    IdentityFactory(contact=claimed, kind="email", value="ada@example.com", is_trusted=False)

    job = take_in("user_id,email\nu-1,ada@example.com\n")

    claimed.refresh_from_db()
    assert counts(job) == (1, 0, 0, 0)
    assert claimed.email is None
    assert Contact.objects.get(external_id="u-1").email == "ada@example.com"


def test_a_second_row_about_one_person_is_refused_by_any_of_their_names(monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    ContactFactory(email="known@example.com", external_id="u-7")

    job = take_in(
        "user_id,email,first_name\n"
        "u-1,a@example.com,First\n"
        "u-7,,Known\n"
        "u-1,,Again\n"
        ",known@example.com,Again\n"
        ",A@example.com,Again\n"
        ",b@example.com,Fine\n"
    )

    assert refused(job) == [
        (4, "Row 2 is about the same person."),
        (5, "Row 3 is about the same person."),
        (6, "Row 2 is about the same person."),
    ]
    assert counts(job) == (2, 1, 0, 3)
    assert not Contact.objects.filter(first_name="Again").exists()


def test_nobody_who_was_erased_is_found():
    gone = ContactFactory(email="ada@example.com")
    services.blank(contact_id=gone.pk, now=NOON)

    job = take_in("email\nada@example.com\n")

    assert counts(job) == (1, 0, 0, 0)
    assert Contact.objects.filter(email="ada@example.com").exclude(pk=gone.pk).exists()


# --- what is refused ---


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nobody,,,", "E-mail address: not an e-mail address."),
        ("test@example.com,,,", "E-mail address: an address that nobody has."),
        (",null,,", "User ID: a placeholder, and no ID."),
        (f",{'u' * 201},,", "User ID: longer than 200 characters."),
        ("a@example.com,,Germany,", "Country: not a country of two letters such as DE."),
        ("a@example.com,,,old", "Age: not a number such as 12 or 3.5."),
        (
            "nobody,,Germany,",
            "E-mail address: not an e-mail address; Country: not a country of two letters such as "
            "DE.",
        ),
        (",,DE,", "Neither an e-mail address nor a user ID."),
        ("a@example.com,,,,more", "More cells than columns."),
        (f"a@example.com,,,{'9' * 10_001}", "A cell has more than 10,000 characters."),
    ],
)
def test_a_row_is_refused_as_a_whole_and_says_why(row, reason):
    ContactFieldFactory(key="age", label="Age", kind="number")

    job = take_in(f"email,user_id,country,age\n{row}\nfine@example.com,,,\n")

    assert refused(job) == [(2, reason)]
    assert counts(job) == (1, 0, 0, 1)
    assert [contact.email for contact in Contact.objects.all()] == ["fine@example.com"]


def test_the_refused_rows_are_told_as_they_came():
    job = take_in('email,first_name\n"not, one",=1+1\n\nalso not,x,\n')

    assert list(importing.refused_cells(job)) == [
        ["row", "reason", "email", "first_name"],
        [2, "E-mail address: not an e-mail address.", "not, one", "=1+1"],
        [4, "E-mail address: not an e-mail address.", "also not", "x", ""],
    ]


def test_what_looks_like_a_formula_comes_in_as_it_is():
    take_in("email,first_name,last_name,phone\na@example.com,=1+1,'=A1,'+49 30\n")

    contact = Contact.objects.get()
    assert (contact.first_name, contact.last_name, contact.phone) == ("=1+1", "=A1", "+49 30")


# --- the columns ---


def test_columns_are_guessed_by_what_files_call_them():
    ContactFieldFactory(key="favorite_tea", label="Tea of choice")

    job = upload(
        "E-Mail,Customer ID,Given_Name,SURNAME,Tea of Choice,Mail,,favoriteTea,Shoe\n"
        "a@example.com,1\n"
    )

    assert job.columns[6] == "Column 7"
    assert job.mapping == [
        "email", "user_id", "first_name", "last_name", "favorite_tea", "", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mapping", "constants", "problem"),
    [
        (["first_name", ""], {}, "Say which column has the e-mail address, or the user ID."),
        (["email", "email"], {}, "“E-mail address” is matched twice."),
        (["email", "shoe"], {}, "“shoe” is nothing that is known of contacts."),
        (["email", "attribute:email"], {}, "“attribute:email” is nothing that is known"),
        (["email", "attribute:a.b"], {}, "“attribute:a.b” is nothing that is known"),
        (["email", ""], {"phone": "1"}, "“Phone” can’t be the same for all rows."),
    ],
)
def test_columns_that_make_no_sense_are_refused(mapping, constants, problem):
    job = upload("a,b\na@example.com,1\n")

    with pytest.raises(BadMapping) as raised:
        uploads.check(job=job, mapping=mapping, constants=constants)

    assert str(raised.value).replace("'", "’").startswith(problem)
    job.refresh_from_db()
    assert job.status == "uploaded"


def test_what_no_field_is_declared_for_can_be_kept_as_text():
    take_in("email,shoe\na@example.com,41\n", ["email", "attribute:shoe"])

    assert Contact.objects.get().attributes == {"shoe": "41"}


# --- looking before ---


def test_checking_changes_nothing_and_tells_what_would_be():
    ContactFactory(email="known@example.com", first_name="Old")
    ContactFactory(email="same@example.com", first_name="Same")
    before = everything()

    job = check(
        "email,first_name\nnew@example.com,New\nknown@example.com,New\n"
        "same@example.com,Same\nnobody,x\n"
    )

    assert (job.status, counts(job)) == ("checked", (1, 1, 1, 1))
    assert list(job.rows.order_by("number").values_list("number", "outcome")) == [
        (2, "created"), (3, "updated"), (4, "unchanged"), (5, "refused"),
    ]  # fmt: skip
    assert everything() == before


def test_only_the_first_rows_and_the_refused_ones_are_kept_to_look_at(monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 10)
    monkeypatch.setattr(importing, "PREVIEWED", 3)
    rows = [f"{n}@example.com" if n % 10 else "bad" for n in range(1, 31)]

    job = check("\n".join(["email", *rows]))

    assert list(job.rows.order_by("number").values_list("number", flat=True)) == [
        2,
        3,
        4,
        11,
        21,
        31,
    ]


def test_what_changed_since_the_check_is_judged_anew():
    job = check("email\na@example.com\n")
    ContactFactory(email="a@example.com")

    uploads.run(job=job)
    job = work(job)

    assert counts(job) == (0, 0, 1, 0)


# --- how far ---


def test_a_batch_that_breaks_off_leaves_nothing_and_is_worked_again(monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    job = check("email\n" + "".join(f"{n}@example.com\n" for n in range(5)))
    uploads.run(job=job)
    importing.step(now=NOON)
    original = importing._keep
    monkeypatch.setattr(importing, "_keep", _break)
    with pytest.raises(SystemExit):
        importing.step(now=NOON)
    between = (Contact.objects.count(), ImportJob.objects.get().done_count)

    monkeypatch.setattr(importing, "_keep", original)
    job = work(job)

    assert between == (2, 2)
    assert (job.status, counts(job)) == ("done", (5, 0, 0, 0))
    assert Contact.objects.count() == 5


def _break(*_: object) -> None:
    raise SystemExit


def test_work_ends_after_its_time_and_says_that_something_is_left(monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 1)
    job = upload("email\na@example.com\nb@example.com\n")
    uploads.check(job=job, mapping=job.mapping, constants={})

    is_left = importing.work(clock=lambda: NOON, seconds=0)
    is_left_then = importing.work(clock=lambda: NOON, seconds=60)

    job.refresh_from_db()
    assert (is_left, is_left_then, job.status) == (True, False, "checked")


def test_a_file_that_is_gone_ends_the_import(home):
    job = upload("email\na@example.com\n")
    uploads.check(job=job, mapping=job.mapping, constants={})
    uploads.file_path(job).unlink()

    job = work(job)

    assert (job.status, job.problem) == ("failed", importing.FILE_IS_GONE)


def test_a_field_that_was_deleted_meanwhile_ends_the_import():
    field = ContactFieldFactory(key="age")
    job = check("email,age\na@example.com,1\n")
    uploads.run(job=job)
    field.delete()
    fields.forget()

    job = work(job)

    assert (job.status, job.problem) == ("failed", "“age” is nothing that is known of contacts.")
    assert not Contact.objects.exists()


# --- afterwards ---


def test_after_the_import_the_file_is_gone(home, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = take_in("email\na@example.com\nbad\n")

    assert list((home / "imports").iterdir()) == []
    assert not ImportedName.objects.exists()
    assert refused(job) != []


def test_after_a_week_nothing_is_kept_but_the_numbers(home):
    done = take_in("email\na@example.com\nbad\n")
    forgotten = upload("email\na@example.com\n")
    young = upload("email\na@example.com\n", now=NOON + timedelta(days=1))

    count = uploads.forget_old(now=NOON + uploads.KEPT_FOR)

    done.refresh_from_db()
    forgotten.refresh_from_db()
    assert count == 2
    assert (done.status, counts(done), forgotten.status) == ("done", (1, 0, 0, 1), "canceled")
    assert not ImportRow.objects.exists()
    assert [path.stem for path in (home / "imports").iterdir()] == [young.uuid.hex]


def test_an_old_file_that_no_import_knows_is_removed(home):
    (home / "imports").mkdir()
    stray = home / "imports" / "0123.upload"
    stray.write_text("email")
    os.utime(stray, (0, 0))

    uploads.forget_old(now=NOON)

    assert not stray.exists()


def test_canceling_stops_and_keeps_what_was_taken_in(monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 1)
    job = check("email\na@example.com\nb@example.com\n")
    uploads.run(job=job)
    importing.step(now=NOON)

    uploads.cancel(job=job, now=NOON)
    job = work(job)

    assert (job.status, Contact.objects.count()) == ("canceled", 1)
    with pytest.raises(uploads.NotNow):
        uploads.run(job=job)


@pytest.mark.parametrize("count", [1, 20])
def test_queries_do_not_grow_with_the_rows(count, django_assert_max_num_queries):
    text = "user_id,email,first_name\n" + "".join(
        f"u-{n},{n}@example.com,A\n" for n in range(count)
    )
    job = check(text)
    uploads.run(job=job)

    with django_assert_max_num_queries(30):
        importing.step(now=NOON)

    job.refresh_from_db()
    assert counts(job) == (count, 0, 0, 0)
