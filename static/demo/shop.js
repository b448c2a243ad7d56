/* The shop's own script: reports what its pages say. The banner is Cuepost's. */
(() => {
  "use strict";

  if (!window.cuepost) return;
  const reports = JSON.parse(document.getElementById("reports").textContent);
  reports.forEach((report) => cuepost.track(report.event, report.properties, report.options));
})();
