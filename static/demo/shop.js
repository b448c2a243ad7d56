/* The shop's own script: reports what its pages say, and asks for consent. */
(() => {
  "use strict";

  const banner = document.getElementById("consent");
  const reopen = document.getElementById("consent-open");

  if (!window.cuepost) {
    reopen.hidden = true; // Without the tracker there is nothing to choose.
    return;
  }

  let isReopened = false;
  const reports = JSON.parse(document.getElementById("reports").textContent);
  reports.forEach((report) => cuepost.track(report.event, report.properties, report.options));

  banner.querySelectorAll("[data-consent-answer]").forEach((button) => {
    button.addEventListener("click", () => {
      cuepost.consent({tracking: button.dataset.consentAnswer === "yes"});
      banner.hidden = true;
      if (isReopened) reopen.focus();
    });
  });
  reopen.addEventListener("click", () => {
    banner.hidden = false;
    isReopened = true;
    banner.focus();
  });
  banner.hidden = cuepost.consent() !== null;
})();
