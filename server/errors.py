"""Every code that leaves the server, in one table.

A *refusal* answers one request of a client (``refused`` or ``error`` message, or an HTTP problem); the connection stays
open. A *close* ends the connection. For each the table says whether the condition is temporary (the same request may be
sent again later, with the same key) and whether a client should reconnect.

The hierarchy of exceptions::

    BarrageError
    +-- Refusal             a request that cannot be served, with a code of the table
    +-- StoreError
    |   +-- StoreUnavailable    nothing of the batch was written
    |   +-- StoreUnknown        the batch may or may not have been written
    +-- ConfigError         a bad setting, with what to do
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Code(NamedTuple):
    """One refusal code.

    ``temporary``: the same request, with the same key, may succeed later. ``http``: status of the HTTP interfaces.
    ``en`` and ``zh`` are sentences for people that say what to do.
    """

    name: str
    temporary: bool
    http: int
    en: str
    zh: str


class Close(NamedTuple):
    """One WebSocket close code. ``reconnect``: a client should connect again, after a back-off with jitter."""

    code: int
    name: str
    reconnect: bool
    meaning: str


_CODES: Final = (
    # Messages that cannot be understood.
    Code("bad_json", False, 400, "The message is not valid JSON. Send one JSON object per text frame.",
         "消息不是有效的 JSON。每个文本帧请只发送一个 JSON 对象。"),
    Code("bad_message", False, 400, "The message does not fit the protocol; the detail names the field.",
         "消息不符合协议，详情中指出了有误的字段。"),
    Code("binary_unsupported", False, 400, "Binary frames are not part of this protocol. Send text frames.",
         "本协议不使用二进制帧，请发送文本帧。"),
    Code("not_found", False, 404, "There is nothing at this address.", "此地址没有内容。"),
    Code("method_not_allowed", False, 405, "This address does not take this method.", "此地址不支持该请求方法。"),
    Code("request_timeout", True, 408, "The request did not arrive in time. Send it again.", "请求未能及时到达，请重发。"),
    Code("too_large", False, 413, "The request is too large.", "请求内容过大。"),
    Code("upgrade_required", False, 426,
         "This address takes WebSocket connections alone. A client that asked for one was heard without its Upgrade header: let the "
         "proxy pass it on.",
         "此地址仅供 WebSocket 连接。如果客户端请求的正是 WebSocket，说明途中的代理没有转发 Upgrade 头，请修改代理配置。"),
    # Who is speaking.
    Code("bad_token", False, 401, "The token is not valid. Ask the site for a new one.", "令牌无效，请向网站重新获取。"),
    Code("token_expired", False, 401, "The token has expired. Ask the site for a new one.",
         "令牌已过期，请向网站重新获取。"),
    Code("keys_unavailable", True, 503, "Tokens cannot be checked at the moment. Try again shortly.",
         "暂时无法核验令牌，请稍后再试。"),
    Code("sign_in_required", False, 401, "Sign in to post. Reading needs no account.", "请先登录再发弹幕，阅读无需登录。"),
    Code("not_verified", False, 403, "The law asks for a verified identity before posting. Verify your account first.",
         "依法须完成真实身份认证后才能发弹幕，请先认证。"),
    Code("forbidden", False, 403, "This account may not do that.", "此账号无权进行该操作。"),
    # Accounts: agreement, measures, identity.
    Code("agreement_required", False, 403, "Sign the current service agreement before posting: /account/agreement.",
         "发弹幕前请先签署最新版服务协议：/account/agreement。"),
    Code("consent_required", False, 403, "This needs a consent that is not given: /account/privacy.",
         "该操作需要您的同意，请前往 /account/privacy 设置。"),
    Code("guardian_required", False, 403, "Under 14 years of age this needs the consent of a guardian: /account/guardian.",
         "未满十四周岁须取得监护人同意：/account/guardian。"),
    Code("account_suspended", False, 403,
         "This account is suspended; the detail says by which rule and until when. Appeal: /account.",
         "账号已被暂停使用，详情载明依据和期限。申诉：/account。"),
    Code("account_closed", False, 403, "This account is closed. Appeal: /account.", "账号已被关闭。申诉：/account。"),
    Code("function_restricted", False, 403,
         "This function is restricted for this account; the detail says by which rule and until when.",
         "该账号的此项功能受限，详情载明依据和期限。"),
    Code("level_too_low", False, 403,
         "Your credit level does not allow this yet. Links, colours, modes, sizes and length go by level: /account/credit.",
         "您的信用等级暂不支持这样发送，链接、颜色、类型、字号和字数各有等级要求：/account/credit。"),
    Code("blacklisted", False, 403, "This identity may not register here. The notice of the measure says how to appeal.",
         "该身份已被列入黑名单，不能注册。申诉方式见处置通知。"),
    Code("identity_taken", False, 409, "This identity belongs to another account already. Sign in with that one.",
         "该身份已绑定其他账号，请用原账号登录。"),
    Code("identity_refused", False, 422, "This could not be confirmed. Check the number, and what else you entered.",
         "未通过核验，请检查号码等填写内容。"),
    Code("verification_unavailable", True, 503, "Identities cannot be checked at the moment. Try again later.",
         "暂时无法核验身份，请稍后再试。"),
    Code("code_wrong", False, 422, "The code is wrong, used or too old. Check it, or ask for a new one.",
         "验证码错误、已使用或已过期，请检查或重新获取。"),
    Code("too_many_attempts", True, 429, "Too many attempts. Wait before the next one.", "尝试次数过多，请稍后再试。"),
    Code("login_failed", False, 401, "Signing in failed. Check what you entered, or begin again.",
         "登录失败，请检查填写内容或重新开始。"),
    Code("nickname_taken", False, 409, "This nickname, or one that looks like it, is taken. Choose another.",
         "该昵称或与其相似的昵称已被使用，请换一个。"),
    Code("nickname_refused", False, 422, "This nickname cannot be used. Choose another.", "该昵称不可使用，请换一个。"),
    Code("form_expired", False, 403, "This form is too old or not from this site. Load the page again.",
         "表单已过期或并非来自本站，请重新打开页面。"),
    Code("step_up_required", False, 403, "Confirm that it is you before this action.", "请先再次确认身份。"),
    Code("second_person_required", False, 403, "A second person must approve this.", "该操作须由第二人批准。"),
    Code("account_not_found", False, 404, "There is no such account.", "没有这个账号。"),
    Code("measure_not_found", False, 404, "There is no such measure, or it has ended.", "没有这项处置，或处置已结束。"),
    Code("bad_measure", False, 422, "The measure cannot be taken like this; the detail says why.",
         "无法作出该处置，原因见详情。"),
    Code("appeal_exists", False, 409, "There is an appeal against this measure already.", "该处置已有申诉。"),
    Code("appeal_decided", False, 409, "This appeal is decided already.", "该申诉已处理。"),
    Code("topic_not_permitted", False, 403, "This account has no permission for this topic.", "该账号未获准发布此类信息。"),
    Code("bad_step", False, 409, "This step cannot follow the present state.", "当前状态下不能进行该步骤。"),
    Code("licence_lapsed", False, 403, "The licence for this feature has lapsed.", "该功能所需的许可已失效。"),
    Code("assessment_required", False, 403, "This feature needs a security assessment on record before it is switched on.",
         "该功能上线前须完成安全评估并登记在案。"),
    Code("training_required", False, 403, "Items are for who has passed the training that is in force: /staff/training.",
         "须先通过现行培训考核才能领取待审内容：/staff/training。"),
    Code("evidence_required", False, 422, "A case closes with evidence. Give it first.", "结案须有证据，请先提交证据。"),
    # The room.
    Code("room_not_found", False, 404, "There is no such room.", "没有这个房间。"),
    Code("room_exists", False, 409, "A room of this name exists already. Choose another name.",
         "同名房间已存在，请换一个名称。"),
    Code("room_closed", False, 403, "Comments of this room are closed.", "该房间的弹幕已关闭。"),
    Code("room_read_only", False, 403, "This room can be read only at the moment.", "该房间目前只可阅读。"),
    Code("not_joined", False, 409, "Join the room first.", "请先加入房间。"),
    Code("too_many_rooms", False, 409, "This connection has joined as many rooms as it may. Leave one first.",
         "此连接加入的房间已达上限，请先离开一个。"),
    # The comment.
    Code("bad_text", False, 422, "The text has characters that cannot be shown. Remove them.",
         "内容含有无法显示的字符，请删除后再发。"),
    Code("text_empty", False, 422, "The text is empty.", "内容不能为空。"),
    Code("text_too_long", False, 422, "The text is too long.", "内容过长。"),
    Code("bad_position", False, 422, "The position is outside the video.", "弹幕位置不在视频范围内。"),
    Code("banned_content", False, 422, "The text breaks a rule of this site.", "内容违反了本站规则。"),
    Code("held_for_review", False, 202, "The text waits for review; you will be told the outcome.",
         "内容正在等待审核，结果会通知您。"),
    Code("too_fast", True, 429, "You are posting too fast. Wait a moment.", "发送过于频繁，请稍候。"),
    Code("repeated_text", True, 429, "You sent the same text a moment ago. Wait a moment.",
         "您刚刚发过相同内容，请稍候。"),
    Code("key_reused", False, 409, "This key was used for another comment. Make a new key for each comment.",
         "此 key 已用于另一条弹幕，请为每条弹幕生成新的 key。"),
    # Removals, restorations, recalls.
    Code("comment_not_found", False, 404, "There is no such comment in this room.", "该房间没有这条弹幕。"),
    Code("already_removed", False, 409, "This comment is removed already.", "这条弹幕已被移除。"),
    Code("not_removed", False, 409, "This comment is not removed.", "这条弹幕没有被移除。"),
    Code("not_yours", False, 403, "Only its author may recall a comment.", "只有作者本人可以撤回弹幕。"),
    Code("too_late", False, 403, "The time for recalling this comment is over.", "已超过可撤回的时间。"),
    Code("bad_code", False, 422, "A removal needs a reason code of the table and a basis.", "移除须给出原因代码和依据。"),
    # The review desk.
    Code("item_not_found", False, 404, "There is nothing of this number in the queue.", "队列中没有这一条。"),
    Code("item_taken", False, 409, "Somebody else is deciding this at the moment; the detail says who.",
         "此条正由他人处理，详情载明处理人。"),
    Code("item_changed", False, 409, "This was decided or claimed meanwhile. Look at it as it is now.",
         "此条已被处理或领取，请查看最新状态。"),
    Code("decision_not_found", False, 404, "There is no such decision.", "没有这项决定。"),
    # The rules of the screening.
    Code("bad_rules", False, 422, "The rules cannot be used; the detail says why. Those in force stay.",
         "规则无法使用，原因见详情；现行规则保持不变。"),
    Code("rules_busy", True, 503, "Other rules are being put into force at the moment. Try again when that is done.",
         "另一组规则正在生效过程中，请待其完成后再试。"),
    # The server.
    Code("too_many_requests", True, 429, "Too many requests. Wait and send less.", "请求过多，请稍候。"),
    Code("too_many_connections", True, 503, "Too many connections. Try again later.", "连接过多，请稍后再试。"),
    Code("overloaded", True, 503, "The server is busy. Send the comment again in a moment, with the same key.",
         "服务器繁忙，请稍后用同一 key 重发。"),
    Code("storage_unavailable", True, 503,
         "The comment could not be recorded, so it was not sent. Send it again later, with the same key.",
         "弹幕未能记录，因此没有发出，请稍后用同一 key 重发。"),
    Code("outcome_unknown", True, 503,
         "It is not known whether the comment was recorded. Send it again with the same key to learn it.",
         "暂时无法确认弹幕是否已记录，请用同一 key 重发以确认。"),
    Code("shutting_down", True, 503, "The server restarts. Reconnect and send the comment again, with the same key.",
         "服务器正在重启，请重连后用同一 key 重发。"),
    Code("internal_error", True, 500, "Something went wrong here. Try again later.", "服务器出错，请稍后再试。"),
)  # fmt: skip

CODES: Final[dict[str, Code]] = {code.name: code for code in _CODES}

_CLOSES: Final = (
    Close(1000, "normal", False, "the client asked for it"),
    Close(1002, "protocol_error", False, "the client broke RFC 6455"),
    Close(1007, "invalid_utf8", False, "a text frame is not UTF-8"),
    Close(1009, "too_big", False, "a message is larger, or has more fragments, than allowed"),
    Close(1011, "internal_error", True, "a fault of the server"),
    Close(1012, "restarting", True, "the server restarts; reconnect after a back-off with jitter"),
    Close(4000, "idle", True, "the client did not answer pings"),
    Close(4001, "too_slow", True, "the client stayed behind for too long; read the pages meanwhile"),
    Close(4002, "too_many_frames", False, "the client sent frames faster than any honest client does"),
    Close(4003, "no_room", False, "the connection joined no room in time"),
)

CLOSES: Final[dict[str, Close]] = {close.name: close for close in _CLOSES}


class BarrageError(Exception):
    """Base of every error that this project raises on purpose."""


class Refusal(BarrageError):
    """A request that cannot be served. ``code`` is a name of :data:`CODES`; ``detail`` is for the developer of the client."""

    def __init__(self, code: str, detail: str = "", retry_after_ms: int = 0) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = CODES[code]
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class StoreError(BarrageError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Nothing of the batch was written: it is safe to say "failed"."""


class StoreUnknown(StoreError):
    """The batch may or may not have been written; appending the same drafts again tells, and does nothing twice."""


class ConfigError(BarrageError):
    """A setting is bad; the text names the setting, the value and what is accepted."""
