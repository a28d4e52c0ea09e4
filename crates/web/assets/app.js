// Live progress. Every page works without this file: it only saves reloading by hand.
"use strict";

// A job under way: follow its stream, reload the page when it has ended.
const job = document.querySelector("[data-job]");
if (job && "EventSource" in window) {
  const stream = new EventSource(`/api/jobs/${job.dataset.job}/events`);
  // A page that was drawn before anything had arrived is drawn again when something has.
  let blank = !job.querySelector("progress").value;
  stream.onmessage = (event) => {
    const status = JSON.parse(event.data);
    job.querySelector("[data-text]").textContent = status.text;
    const bar = job.querySelector("progress");
    if (status.share !== null) {
      bar.hidden = false;
      bar.value = status.share;
      bar.textContent = `${Math.round(status.share * 100)} %`;
    }
    const arrived = blank && status.share > 0;
    if (status.finished || arrived) {
      blank = false;
      stream.close();
      location.reload();
    }
  };
}

// Files that wait to be imported: look again, reload when one has moved on.
const uploads = document.querySelector("[data-waiting]");
if (uploads) {
  const look = async () => {
    const answer = await fetch("/api/uploads").catch(() => null);
    if (answer && answer.ok) {
      const waiting = (await answer.json()).uploads.filter((u) => u.state === "waiting").length;
      const chosen = document.querySelector("input[type=file]")?.files.length;
      if (String(waiting) !== uploads.dataset.waiting && !chosen) {
        location.reload();
        return;
      }
    }
    if (!document.hidden) setTimeout(look, 2000);
    else document.addEventListener("visibilitychange", look, { once: true });
  };
  setTimeout(look, 1000);
}
