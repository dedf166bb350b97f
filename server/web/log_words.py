"""Words of the records of who looked at or did what."""

from __future__ import annotations

from typing import Final

from server.web.i18n import N_

ACTIONS: Final = {
    "accounts.find": N_("looked for accounts"),
    "accounts.view": N_("looked at an account"),
    "account.view": N_("looked at an account by command"),
    "appeals.view": N_("looked at appeals"),
    "public.view": N_("looked at public accounts"),
    "public.export": N_("took out the filing of public accounts"),
    "log.view": N_("looked at these records"),
    "refuse": N_("refused a comment after review"),
    "hold.place": N_("placed a legal hold"),
    "hold.release": N_("ended a legal hold"),
    "licence.record": N_("entered a licence"),
    "licence.revoke": N_("revoked a licence"),
    "staff.add": N_("added a member"),
    "staff.enrol": N_("enrolled"),
    "staff.enrol_again": N_("had a member enrol anew"),
    "staff.roles": N_("changed a member's roles"),
    "staff.disable": N_("let a member in no more"),
    "staff.enable": N_("let a member in again"),
    "staff.password": N_("changed the password"),
    "staff.passkey_add": N_("added a passkey"),
    "staff.passkey_remove": N_("removed a passkey"),
    "staff.sign_in": N_("signed in"),
    "vault.request": N_("asked for data of the vault"),
    "vault.grant": N_("granted data of the vault"),
    "vault.deny": N_("denied data of the vault"),
    "vault.read": N_("read data of the vault"),
    "vault.rotate": N_("changed keys of the vault"),
    "queue.claim": N_("took an item of the queue"),
    "queue.view": N_("looked at an item of the queue"),
    "patrol.view": N_("looked at a patrol"),
    "patrol.stream": N_("followed a patrol"),
    "patrol.search": N_("searched for comments"),
    "records.list": N_("looked for decisions"),
    "records.view": N_("looked at a decision"),
    "finding.view": N_("looked at a finding"),
    "finding.print": N_("printed a finding"),
    "finding.acknowledge": N_("entered an acknowledgement"),
    "finding.send": N_("sent a finding again"),
    "inspection.events": N_("Comments and events"),
    "inspection.screened": N_("Held and refused"),
    "inspection.decisions": N_("Decisions"),
    "inspection.reports": N_("Reports"),
    "inspection.measures": N_("Measures"),
    "inspection.export": N_("made the signed file"),
}
