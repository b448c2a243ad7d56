"""What shoppers fill in."""

from django import forms

from apps.demo.cart import MAX_QUANTITY
from apps.demo.visitor import MAIL_WORDING, Customer


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(min_value=0, max_value=MAX_QUANTITY)


class CheckoutForm(forms.Form):
    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        help_text="For your order confirmation.",
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
    )
    first_name = forms.CharField(
        label="First name",
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
    )
    last_name = forms.CharField(
        label="Last name",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "family-name"}),
    )
    wants_mail = forms.BooleanField(
        label=MAIL_WORDING,
        required=False,
    )

    def customer(self) -> Customer:
        return Customer(**self.cleaned_data)
