"""Every piece of personal data that this server stores: what it is, where, for which purpose, how long. One table.

The privacy notice is written from it (:mod:`server.accounts.privacy`), the export reads by it, and purging deletes by it
(:mod:`server.accounts.retention`), so the three cannot say different things (duty P5(2)). A test holds every column of both
databases against it: a column is either named here, or known to hold no personal data; a new one is a question to answer.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from server.settings import Settings

LEAST_RECORDS_DAYS: Final = 183
"""Records of connections are kept for at least six months: Cybersecurity Law of the PRC art. 21(3)."""


class Words(NamedTuple):
    """A text in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        """The text in one of the languages of the pages."""
        return self.zh if language.startswith("zh") else self.en


class Purpose(NamedTuple):
    """Why something is stored. ``consent``: only while the person consents to this purpose, which can be withdrawn;
    otherwise ``basis`` names the duty or the contract that it rests on."""

    name: str
    consent: bool
    title: Words
    words: Words
    basis: Words


class Term(NamedTuple):
    """How long something is kept: ``setting`` names the setting with the number of days, empty where an event ends it."""

    name: str
    setting: str
    words: Words

    def days(self, settings: Settings) -> int:
        """The days, 0 where an event ends it."""
        return int(getattr(settings, self.setting)) if self.setting else 0


class Field(NamedTuple):
    """One kind of personal data. ``where``: ``database.table.column``, several separated by spaces; a field of the vault is
    ``accounts.vault_items:NAME``. ``shown``: who can see it."""

    name: Words
    where: str
    purpose: str
    method: Words
    shown: Words
    term: str
    sensitive: bool = False


_ACCOUNT_BASIS: Final = Words(
    "《互联网跟帖评论服务管理规定》第四条第一项；履行服务协议所必需",
    "Provisions on Internet Thread Commenting Services, art. 4(1); needed to perform the service agreement",
)

PURPOSES: Final = (
    Purpose(
        "account", False,
        Words("账号与真实身份认证", "Account and verified identity"),
        Words("法律要求发弹幕前认证真实身份，前台可自选昵称。我们据此开通和保护您的账号。",
              "The law asks for a verified identity before posting, behind a nickname of your choice. We open and protect "
              "your account by it."),
        _ACCOUNT_BASIS,
    ),
    Purpose(
        "identity_document", True,
        Words("身份证件核验", "Identity document"),
        Words("用姓名和身份证号提高认证强度，并防止同一人重复注册。属于敏感个人信息，单独征得同意，可随时撤回。",
              "Your name and identity number make the verification stronger and keep one person from registering twice. They "
              "are sensitive: kept with your separate consent, which you can withdraw at any time."),
        Words("《个人信息保护法》第二十八、二十九条", "Personal Information Protection Law art. 28, 29"),
    ),
    Purpose(
        "third_party_login", True,
        Words("第三方登录", "Signing in with another service"),
        Words("用您在其他平台的账号登录。撤回后只能用手机号登录。",
              "Signing in with your account at another service. After withdrawal you sign in with your phone number."),
        Words("《个人信息保护法》第十三条第一项", "Personal Information Protection Law art. 13(1)"),
    ),
    Purpose(
        "guardian", True,
        Words("监护人同意", "Consent of a guardian"),
        Words("未满十四周岁须由监护人同意，我们留存监护人的联系方式以便核实。",
              "Under 14 years of age a guardian has to consent; we keep how to reach the guardian, to confirm it."),
        Words("《个人信息保护法》第三十一条", "Personal Information Protection Law art. 31"),
    ),
    Purpose(
        "publishing", False,
        Words("发布您的弹幕", "Publishing your comments"),
        Words("您发送的内容、昵称和所在地区会实时显示，并同时出现在同一平台的静态评论页上。",
              "What you send is shown live with your nickname and region, and at the same time on the static comment page of "
              "the same platform."),
        Words("履行服务协议所必需；《互联网跟帖评论服务管理规定》第五条",
        "Needed to perform the service agreement; Provisions art. 5"),
    ),
    Purpose(
        "safety_records", False,
        Words("安全记录", "Safety records"),
        Words("依法留存登录和发送的来源地址与时间，用于保护服务、配合依法调查；不公开。",
              "The law asks us to keep from where and when somebody signed in and posted, to protect the service and to "
              "answer lawful inquiries. It is never shown."),
        Words("《网络安全法》第二十一条第三项", "Cybersecurity Law art. 21(3)"),
    ),
    Purpose(
        "decisions", False,
        Words("审核、处置与申诉", "Review, measures and appeals"),
        Words("记录审核、处置、申诉和举报的处理，使每项决定都有依据、可申诉、可复查。",
              "Records of reviews, measures, appeals and reports, so that each decision has a basis, can be appealed and can "
              "be checked."),
        Words("《互联网跟帖评论服务管理规定》第四条第五项、第八条至第十条", "Provisions art. 4(5), 8 to 10"),
    ),
)  # fmt: skip

TERMS: Final = (
    Term("account", "", Words("至账号注销，随即销毁密钥", "Until the account is erased; then its key is destroyed")),
    Term("consent", "", Words("至撤回同意或账号注销", "Until consent is withdrawn or the account is erased")),
    Term("published", "", Words("至内容被移除、撤回或账号注销时选择移除",
    "Until the comment is removed or recalled, also on erasure if you wish so")),
    Term("records", "records_days", Words("{days} 天", "{days} days")),
    Term("decisions", "decisions_days", Words("{days} 天", "{days} days")),
    Term("review", "review_texts_days", Words("处理后 {days} 天", "{days} days after the decision")),
    Term("swarms", "review_swarms_days", Words("{days} 天", "{days} days")),
    Term("measure", "", Words("至处置到期或撤销", "Until the measure ends or is reversed")),
    Term("short", "", Words("数分钟至一天，用后即弃", "Minutes to a day; thrown away after use")),
    Term("session", "session_max_days", Words("至退出登录，最长 {days} 天", "Until you sign out, at most {days} days")),
)  # fmt: skip

_SIGN_UP: Final = Words("您在注册或认证时填写", "You enter it when you sign up or verify")
_SERVICE: Final = Words("使用服务时由系统记录", "Recorded by the software while you use the service")
_NOBODY: Final = Words("无人可见；依法查阅须两人批准并留痕", "Nobody; lawful access takes two people and is recorded")
_EVERYONE: Final = Words("所有人", "Everyone")
_STAFF: Final = Words("处理该事项的工作人员和您本人", "The staff who handle it, and you")
_YOU: Final = Words("您本人", "You")

FIELDS: Final = (
    Field(Words("昵称（含历史）", "Nickname, and former ones"),
          "accounts.accounts.nickname accounts.accounts.nickname_key accounts.nicknames.nickname accounts.nicknames.nickname_key",
          "account", _SIGN_UP, _EVERYONE, "account"),
    Field(Words("手机号", "Phone number"), "accounts.vault_items:phone", "account", _SIGN_UP, _NOBODY, "account"),
    Field(Words("手机号、证件号等的不可逆标记", "Irreversible marks of phone number, identity number and the like"),
          "accounts.claims.value", "account", Words("由系统用密钥计算", "Computed by the software with a secret key"), _NOBODY,
          "account"),
    Field(Words("姓名", "Real name"), "accounts.vault_items:real_name", "identity_document", _SIGN_UP, _NOBODY, "consent", True),
    Field(Words("身份证号", "Identity number"), "accounts.vault_items:id_number", "identity_document", _SIGN_UP, _NOBODY,
          "consent", True),
    Field(Words("第三方账号标识", "Identifier at the other service"), "accounts.vault_items:oidc_subject", "third_party_login",
          Words("由您授权的平台提供", "Given by the service that you authorised"), _NOBODY, "consent"),
    Field(Words("监护人姓名和手机号", "Name and phone number of the guardian"),
          "accounts.vault_items:guardian_name accounts.vault_items:guardian_phone", "guardian",
          Words("由监护人填写", "Entered by the guardian"), _NOBODY, "consent", True),
    Field(Words("认证结果", "Results of verification"), "accounts.verifications.reference", "account", _SERVICE, _STAFF, "account"),
    Field(Words("登录会话", "Sessions"), "accounts.sessions.id", "account", _SERVICE, _YOU, "session"),
    Field(Words("验证码", "One-time codes"), "accounts.codes.code accounts.codes.target accounts.codes.address", "account",
          _SERVICE, _NOBODY, "short"),
    Field(Words("第三方登录过程", "Signing in under way"), "accounts.logins.state accounts.logins.nonce accounts.logins.verifier",
          "third_party_login", _SERVICE, _NOBODY, "short"),
    Field(Words("给您的通知", "Letters to you"), "accounts.letters.data", "decisions", _SERVICE, _YOU, "decisions"),
    Field(Words("申诉内容", "Words of your appeals"), "accounts.appeals.words", "decisions",
          Words("您在申诉时填写", "You write them when you appeal"), _STAFF, "decisions"),
    Field(Words("黑名单标记", "Marks of the blacklist"), "accounts.blacklist.value", "decisions", _SERVICE, _NOBODY, "measure"),
    Field(Words("弹幕内容、昵称、地区", "Your comments, with nickname and region"),
          "barrage.events.text barrage.events.author_name barrage.events.region", "publishing",
          Words("您发送时提供；地区由来源地址推算", "You send them; the region is worked out from the source address"),
          _EVERYONE, "published"),
    Field(Words("未发布的弹幕", "Comments that were held or refused"),
          "barrage.screened.text barrage.screened.author_name barrage.screened.region", "decisions", _SERVICE, _STAFF, "decisions"),
    Field(Words("待审核和已审核的弹幕及昵称、审核结论依据", "Comments at the review desk, with nickname and what stopped them"),
          "review.items.text review.items.author_name review.items.author_id review.items.verdict review.items.draft "
          "review.effects.draft", "decisions", _SERVICE, _STAFF, "review"),
    Field(Words("举报的处理情况", "What became of your reports"), "review.receipts.account", "decisions", _SERVICE, _YOU, "review"),
    Field(Words("疑似协同行为的账号", "Accounts that were found to act in a group"),
          "review.swarm_members.account review.swarm_members.peers", "decisions", _SERVICE, _STAFF, "swarms"),
    Field(Words("来源地址与端口、连接时间", "Source address and port, times of connections"),
          "barrage.connections.address barrage.connections.port", "safety_records", _SERVICE, _NOBODY, "records"),
    Field(Words("举报内容", "Words of reports"), "barrage.reports.text", "decisions", Words("举报人填写",
          "Written by who reports"), _STAFF, "decisions"),
    Field(Words("举报来源地址", "Source address of reports"), "barrage.reports.address barrage.reports.port", "safety_records",
          _SERVICE, _NOBODY, "records"),
)  # fmt: skip

VAULT: Final = frozenset(
    place.partition(":")[2] for field in FIELDS for place in field.where.split() if place.startswith("accounts.vault_items:")
)
"""Names of the fields that the vault may hold."""

PURPOSE: Final = {purpose.name: purpose for purpose in PURPOSES}
TERM: Final = {term.name: term for term in TERMS}


def vault_fields(purpose: str) -> tuple[str, ...]:
    """The vault's fields that are kept for one purpose."""
    return tuple(
        place.partition(":")[2]
        for field in FIELDS
        if field.purpose == purpose
        for place in field.where.split()
        if place.startswith("accounts.vault_items:")
    )
