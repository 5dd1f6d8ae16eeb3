"""The deliberate mistakes about who may watch."""

from scripts.bugs.bug import Bug

_CUT = "tests/integration/test_privacy.py::"
_RULE = "tests/integration/test_access_rule.py::"
_VIDEO = "tests/hls/test_playback.py::"
_KNOWN = "tests/integration/test_granted.py::"

PRIVACY = [
    Bug(
        "kept-grant",
        "what a gateway knows of a grant is not replaced when it changes",
        "gateway/granted.py",
        "if former is None or former.revision < held.revision:",
        "if former is None:",
        f"{_CUT}test_a_gateway_learns_what_another_was_told",
    ),
    Bug(
        "stale-answer",
        "an answer from before a grant was taken back is believed after it",
        "gateway/granted.py",
        "if former is not None and former.revision > held.revision:",
        "if former is None and held.revision < 0:",
        f"{_KNOWN}test_an_answer_that_was_overtaken_is_not_believed",
    ),
    Bug(
        "believed-for-ever",
        "a gateway that hears nothing from its broker goes on believing what it knew",
        "gateway/granted.py",
        "self._following is None or self._following.behind_s > BELIEVED_S",
        "self._following is None",
        f"{_KNOWN}test_without_a_broker_nobody_is_let_in",
    ),
    Bug(
        "forgotten-noes",
        "that somebody is not invited is asked for each time",
        "gateway/granted.py",
        "        if known is not None:\n            return known",
        "        if known:\n            return known",
        f"{_KNOWN}test_many_who_wait_are_one_question",
    ),
    Bug(
        "guest-that-stays",
        "who was invited stays connected after the invitation was taken back",
        "gateway/fanout/expulsion.py",
        'if record.privacy != "public" and scope(record) == which:',
        'if record.privacy == "public" and scope(record) == which:',
        f"{_CUT}test_what_is_taken_back_cuts_within_two_seconds",
    ),
    Bug(
        "public-stays-open",
        "viewers of a stream that was public stay connected when it is not any more",
        "gateway/fanout/expulsion.py",
        '        if record.privacy != "public":\n            self._look',
        '        if record.privacy == "public":\n            self._look',
        f"{_CUT}test_a_privacy_that_changes_cuts_and_is_told",
    ),
    Bug(
        "late-guest",
        "who was let in by what was true a moment before is not looked at",
        "gateway/fanout/expulsion.py",
        "hub.on_join = self._joined",
        "hub.on_join = lambda _viewer, _audience: None",
        "tests/integration/test_expulsion.py",
    ),
    Bug(
        "rule-forgotten",
        "calls about a stream do not ask whether its caller may watch",
        "gateway/requests.py",
        "await deps(request).access.require_watch(who, record)",
        "await deps(request).access.may_watch(who, record)",
        f"{_RULE}test_the_rule_is_kept",
    ),
    Bug(
        "listed-to-all",
        "lists show streams to those who may not watch them",
        "gateway/streams.py",
        "in zip(found, may, strict=True) if allowed",
        "in zip(found, may, strict=True) if allowed or record",
        f"{_RULE}test_lists_show_what_may_be_watched",
    ),
    Bug(
        "everybody-comments",
        "followers_only is a setting that nobody asks",
        "gateway/posting.py",
        "if record.settings.followers_only:",
        "if record.settings.followers_only and not who:",
        f"{_CUT}test_only_followers_may_comment",
    ),
    Bug(
        "address-of-all-streams",
        "a playback address of one stream plays all others of its kind",
        "gateway/playback.py",
        'f"{stream_id}/{claims}".encode()',
        "claims.encode()",
        "tests/unit/gateway/test_playback.py",
    ),
    Bug(
        "address-for-ever",
        "a playback address holds however long ago it was given",
        "gateway/playback.py",
        "return holder if holder.expires_at > self._now() else None",
        "return holder",
        "tests/unit/gateway/test_playback.py",
    ),
    Bug(
        "address-is-the-right",
        "a playback address plays on after its holder's invitation was taken back",
        "gateway/hls/entrance.py",
        "if holder is None or not self._access.decided(holder, record):",
        "if holder is None:",
        f"{_VIDEO}test_an_address_ends_with_its_holders_right",
    ),
    Bug(
        "mended-address",
        "a good credential makes up for a playback address that does not hold",
        "gateway/hls/route.py",
        "requests.principal(request) if token is None else deps.playback.holder(named.stream_id, token)",
        "(token and deps.playback.holder(named.stream_id, token)) or requests.principal(request)",
        f"{_VIDEO}test_what_is_not_an_address_of_this_stream_is_nothing",
    ),
    Bug(
        "shared-answer",
        "caches between may keep what was for one viewer",
        "gateway/hls/entrance.py",
        "return rest, True",
        "return rest, False",
        f"{_VIDEO}test_a_signed_address_plays",
    ),
    Bug(
        "logged-address",
        "the log has playback addresses in full",
        "gateway/middleware.py",
        'if not scope["path"].startswith("/hls/"):',
        'if scope["path"]:',
        f"{_VIDEO}test_the_signature_is_in_no_log",
    ),
]
