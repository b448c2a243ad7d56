/* The shop's own script: reports what its pages say. The banner is Cuepost's. */
(() => {
  "use strict";

  if (!window.cuepost) return;
  const {product, cart, checkout} = cuepost;
  const calls = {
    "Product List Viewed": product.listed,
    "Product Viewed": product.viewed,
    "Product Added": cart.added,
    "Product Removed": cart.removed,
    "Cart Viewed": cart.viewed,
    "Checkout Started": checkout.started,
  };
  const reports = JSON.parse(document.getElementById("reports").textContent);
  reports.forEach((report) => calls[report.event](report.properties, report.options));
})();
