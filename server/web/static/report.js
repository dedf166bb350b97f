/**
 * Reporting a comment from the room's page: one click on a row's link or on a flying comment opens the form as a dialog, one click on a
 * reason sends it. Where anything fails, the form's own page does the same without scripts.
 *
 * Text of people only ever enters the document as text.
 */

import { t } from "./words.js";

/** @typedef {import("./barrage.js").Comment} Comment */

const LOOK_MS = 80;
const QUOTE_MOST = 300;

export class ReportDialog {
  /** @param {HTMLDialogElement} dialog  as the server rendered it; it is this object's own */
  constructor(dialog) {
    this.dialog = dialog;
    this.form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(event.submitter);
    });
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => dialog.close());
    }
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  }

  /** Links to the form's page open the dialog instead, where they are followed plainly. @param {HTMLElement} container */
  takeLinks(container) {
    container.addEventListener("click", (event) => {
      const link = /** @type {Element} */ (event.target).closest("a.report");
      const article = link?.closest("article");
      if (!(link instanceof HTMLAnchorElement) || !article || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) {
        return;
      }
      event.preventDefault();
      this.open(Number(article.id.slice(1)), article.querySelector(".text")?.textContent ?? "");
    });
  }

  /**
   * Clicks on comments over the picture open the dialog; all others go on to the picture.
   * @param {HTMLElement} stage @param {(x: number, y: number) => Comment | null} find
   */
  takeClicks(stage, find) {
    const take = (/** @type {MouseEvent} */ event) => {
      const comment = find(event.clientX, event.clientY);
      if (comment !== null) {
        event.preventDefault(); // a player's picture would stop or go on
        event.stopPropagation();
        this.open(comment.seq, comment.text);
      }
    };
    stage.addEventListener("click", take, { capture: true });
    let looked = 0;
    stage.addEventListener("pointermove", ({ clientX, clientY, timeStamp }) => {
      if (timeStamp - looked > LOOK_MS) {
        looked = timeStamp;
        stage.classList.toggle("on-comment", find(clientX, clientY) !== null);
      }
    });
  }

  /** @param {number} seq @param {string} text */
  open(seq, text) {
    this.form.reset();
    this.#field("seq").value = String(seq);
    this.#part("seq").textContent = `#${seq}`;
    this.#part("quote").textContent = text.slice(0, QUOTE_MOST);
    this.#tell("");
    this.#show(false);
    this.dialog.showModal();
    this.dialog.scrollTop = 0;
  }

  /** @param {HTMLElement | null} submitter */
  async #send(submitter) {
    if (this.form.ariaBusy === "true") {
      return;
    }
    const reason = submitter instanceof HTMLButtonElement ? submitter.value : "";
    const fields = [...new FormData(this.form)].map(([name, value]) => [name, String(value)]);
    this.form.ariaBusy = "true";
    try {
      const answer = await fetch(this.form.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams([...fields.filter(([name]) => name !== "reason"), ["reason", reason]]),
      });
      const body = await answer.json();
      if (answer.ok) {
        this.#part("receipt").textContent = body.receipt;
        /** @type {HTMLAnchorElement} */ (this.#part("status")).href = body.url;
        this.#show(true);
      } else {
        this.#tell(document.documentElement.lang.startsWith("zh") ? body.message_zh : body.message);
      }
    } catch {
      this.#tell(t("report_failed"));
    } finally {
      this.form.ariaBusy = "false";
    }
  }

  /** @param {boolean} done */
  #show(done) {
    this.form.hidden = done;
    this.#part("done").hidden = !done;
    if (done) {
      /** @type {HTMLElement} */ (this.#part("done").querySelector(".primary")).focus();
    }
  }

  /** @param {string} problem */
  #tell(problem) {
    const place = this.#part("problem");
    place.hidden = problem === "";
    place.textContent = problem;
    if (problem !== "") {
      place.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.dialog.querySelector(`[data-${name}]`));
  }

  /** @param {string} name @returns {HTMLInputElement} */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }
}
