"""Words of the account's pages for what the records hold as names and codes: what credit counted, measures, letters, functions."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

COUNTED: Final = {
    "removal.L": N_("A comment was removed: unlawful content"),
    "removal.M": N_("A comment was removed: harm to minors"),
    "removal.P": N_("A comment was removed: personal information"),
    "removal.S": N_("A comment was removed: spam or paid posting"),
    "removal.N": N_("A comment was removed: news without permission"),
    "removal.A": N_("A comment was removed: breach of the agreement"),
    "refused_on_review": N_("A comment was refused on review"),
    "measure.warn": N_("A warning"),
    "measure.restrict": N_("A restriction of functions"),
    "measure.suspend": N_("A suspension"),
    "measure.close": N_("The closing of the account"),
    "measure.blacklist": N_("The blacklist"),
    "report.upheld": N_("A report of yours was right"),
    "report.unfounded": N_("A report of yours was unfounded"),
    "report.malicious": N_("A report of yours was malicious"),
    "lesson": N_("The lesson, taken after a measure"),
}
"""By what credit counts (:data:`server.accounts.credit.WEIGHTS`)."""

RUNGS: Final = {
    "warn": N_("Warning"),
    "refuse": N_("Comment refused"),
    "delete": N_("Comment removed"),
    "restrict": N_("Functions restricted"),
    "suspend": N_("Account suspended"),
    "close": N_("Account closed"),
    "blacklist": N_("Blacklisted"),
}

STATES: Final = {
    "in_force": N_("in force"),
    "ended": N_("over"),
    "lifted": N_("taken back"),
    "done": N_("recorded"),
}

FUNCTIONS: Final = {
    "post": N_("posting"),
    "color": N_("colours"),
    "mode": N_("kinds of comments"),
    "link": N_("links"),
    "report": N_("reporting"),
    "nickname": N_("changing the nickname"),
    "recall": N_("taking back comments"),
}

ROLES: Final = {
    "system": N_("a program"),
    "uploader": N_("the uploader"),
    "reviewer": N_("a reviewer"),
    "senior": N_("a senior reviewer"),
    "operator": N_("an operator"),
}

METHODS: Final = {
    "phone": N_("phone number"),
    "id_number": N_("identity number"),
    "network_identity": N_("national network identity"),
    "oidc": N_("provider"),
    "host": N_("host platform"),
}

MODES: Final = {
    "scroll": N_("Flying"),
    "top": N_("Top"),
    "bottom": N_("Bottom"),
    "reverse": N_("Backwards"),
}

LETTERS: Final = {
    "measure": N_("A measure was taken"),
    "measure_lifted": N_("A measure was taken back"),
    "appeal_filed": N_("Your appeal was received"),
    "appeal_decided": N_("Your appeal was decided"),
    "report_decided": N_("Your report was decided"),
    "review_published": N_("A comment of yours was reviewed and published"),
    "agreement_signed": N_("You signed the service agreement"),
    "lesson_taken": N_("You took the lesson"),
    "public.applied": N_("Your application for a public account was received"),
    "public.reviewed": N_("Your application was reviewed"),
    "public.classified": N_("Your public account was classified"),
    "public.filed": N_("Your public account was filed with the authority"),
    "public.active": N_("Your public account is active"),
    "public.rejected": N_("Your application was not accepted, or withdrawn"),
    "public.lapsed": N_("Your public account has lapsed"),
    "public.revoked": N_("Your public account was revoked"),
    "public.approved": N_("An approval was given"),
    "public.approval_withdrawn": N_("An approval was withdrawn"),
    "licence.recorded": N_("A licence of yours was entered"),
    "licence.revoked": N_("A licence of yours was revoked"),
    "licence.ends": N_("A licence of yours ends soon"),
    "licence.lapsed": N_("A licence of yours has ended"),
    "verification_withdrawn": N_("Your verification was withdrawn"),
}
OTHER_LETTER: Final = N_("A message about your account")
