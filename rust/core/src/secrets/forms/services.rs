//! Chat, mail, documents, maps and other services.

use super::super::form::Part::{self, Run, Text, Uuid};
use super::super::form::{Form, form};
use super::super::kind::Kind;
use super::super::set::{ALNUM, ANY_HEX, DASHED, DIGIT, HEX, LOWER, UPPER, URL64};

const SLACK_BOT: &[Part] = &[Run(DIGIT, 8, 14), Text("-"), Run(DASHED, 10, 80)];
const SLACK_USER: &[Part] = &[
    Run(DIGIT, 8, 14),
    Text("-"),
    Run(DIGIT, 8, 14),
    Text("-"),
    Run(DIGIT, 8, 14),
    Text("-"),
    Run(DASHED, 24, 70),
];
const SLACK_OLD: &[Part] = &[
    Run(DIGIT, 1, 16),
    Text("-"),
    Run(DIGIT, 1, 16),
    Text("-"),
    Run(DIGIT, 1, 16),
    Text("-"),
    Run(ANY_HEX, 6, 70),
];
const SLACK_CONFIG: &[Part] = &[Run(DIGIT, 1, 1), Text("-"), Run(ALNUM, 140, 200)];

pub(super) const FORMS: &[Form] = &[
    // Chat
    form(Kind::SlackToken, "xoxb-", SLACK_BOT),
    form(Kind::SlackToken, "xoxp-", SLACK_USER),
    form(Kind::SlackToken, "xoxe-", SLACK_USER),
    form(Kind::SlackToken, "xoxo-", SLACK_OLD),
    form(Kind::SlackToken, "xoxs-", SLACK_OLD),
    form(Kind::SlackToken, "xoxa-", &[Run(DASHED, 10, 90)]).floor(25),
    form(Kind::SlackToken, "xoxr-", &[Run(DASHED, 10, 90)]).floor(25),
    form(Kind::SlackToken, "xoxc-", SLACK_USER),
    form(Kind::SlackToken, "xoxd-", &[Run(URL64.and(b'%'), 40, 400)]).floor(35),
    form(Kind::SlackToken, "xoxe.xoxb-", SLACK_CONFIG),
    form(Kind::SlackToken, "xoxe.xoxp-", SLACK_CONFIG),
    form(Kind::SlackToken, "xoxe-", SLACK_CONFIG),
    form(
        Kind::SlackToken,
        "xapp-",
        &[
            Run(DIGIT, 1, 1),
            Text("-"),
            Run(UPPER, 6, 14),
            Text("-"),
            Run(DIGIT, 8, 16),
            Text("-"),
            Run(ALNUM, 16, 80),
        ],
    ),
    form(
        Kind::SlackWebhook,
        "hooks.slack.com/services/",
        &[Run(ALNUM.and(b'/'), 40, 60)],
    ),
    form(
        Kind::SlackWebhook,
        "hooks.slack.com/workflows/",
        &[Run(ALNUM.and(b'/'), 40, 90)],
    ),
    form(
        Kind::SlackWebhook,
        "hooks.slack.com/triggers/",
        &[Run(ALNUM.and(b'/'), 40, 90)],
    ),
    form(Kind::DiscordWebhook, "discord.com/api/webhooks/", DISCORD_WEBHOOK),
    form(Kind::DiscordWebhook, "discordapp.com/api/webhooks/", DISCORD_WEBHOOK),
    form(
        Kind::TeamsWebhook,
        "webhook.office.com/webhookb2/",
        &[
            Uuid,
            Text("@"),
            Uuid,
            Text("/IncomingWebhook/"),
            Run(LOWER, 32, 32),
            Text("/"),
            Uuid,
        ],
    ),
    form(Kind::TwilioKey, "SK", &[Run(ANY_HEX, 32, 32)]).floor(28).strict(),
    form(Kind::TwitchToken, "oauth:", &[Run(LOWER, 30, 30)]).floor(35),
    form(Kind::VkToken, "vk1.a.", &[Run(URL64, 80, 300)]).floor(35),
    // Mail
    form(Kind::SendgridKey, "SG.", &[Run(URL64.and(b'.').and(b'='), 66, 66)]).floor(30),
    form(Kind::MailgunKey, "key-", &[Run(HEX, 32, 32)]).floor(28).strict(),
    form(Kind::MailgunKey, "pubkey-", &[Run(HEX, 32, 32)]).floor(28),
    form(Kind::MailchimpKey, "md-", &[Run(URL64, 22, 22)])
        .floor(38)
        .strict(),
    form(
        Kind::BrevoKey,
        "xkeysib-",
        &[Run(HEX, 64, 64), Text("-"), Run(ALNUM, 16, 16)],
    ),
    form(
        Kind::BrevoKey,
        "xsmtpsib-",
        &[Run(HEX, 64, 64), Text("-"), Run(ALNUM, 16, 16)],
    ),
    form(
        Kind::ResendKey,
        "re_",
        &[Run(ALNUM, 8, 8), Text("_"), Run(ALNUM, 24, 24)],
    )
    .floor(35)
    .strict(),
    form(Kind::MailersendKey, "mlsn.", &[Run(HEX, 64, 64)]),
    // Documents and tasks
    form(Kind::NotionToken, "ntn_", &[Run(DIGIT, 10, 12), Run(ALNUM, 34, 36)]).floor(38),
    form(Kind::NotionToken, "secret_", &[Run(ALNUM, 43, 43)])
        .floor(38)
        .strict(),
    form(Kind::LinearKey, "lin_api_", &[Run(ALNUM, 40, 48)]),
    form(Kind::LinearKey, "lin_oauth_", &[Run(ALNUM, 32, 64)]),
    form(Kind::TrelloToken, "ATTA", &[Run(ANY_HEX, 60, 80)]),
    form(Kind::FigmaToken, "figd_", &[Run(URL64, 38, 60)]).floor(30),
    form(Kind::FigmaToken, "figo_", &[Run(URL64, 38, 60)]).floor(30),
    form(
        Kind::PostmanKey,
        "PMAK-",
        &[Run(ANY_HEX, 24, 24), Text("-"), Run(ANY_HEX, 34, 34)],
    ),
    form(Kind::ReadmeKey, "rdme_", &[Run(LOWER, 70, 70)]),
    form(Kind::FrameioToken, "fio-u-", &[Run(URL64.and(b'='), 64, 64)]),
    form(Kind::ContentfulToken, "CFPAT-", &[Run(URL64, 43, 43)]).floor(30),
    form(
        Kind::ClickupToken,
        "pk_",
        &[Run(DIGIT, 5, 12), Text("_"), Run(UPPER, 32, 32)],
    )
    .strict(),
    form(Kind::BeamerToken, "b_", &[Run(URL64.and(b'='), 44, 44)])
        .floor(40)
        .strict(),
    // Files, maps and the rest
    form(Kind::DropboxToken, "sl.", &[Run(URL64.and(b'='), 120, 1400)])
        .floor(40)
        .strict(),
    form(Kind::MapboxToken, "sk.eyJ", MAPBOX),
    form(
        Kind::MapboxToken,
        "pk.",
        &[Run(ALNUM, 60, 100), Text("."), Run(ALNUM, 22, 22)],
    )
    .floor(30),
    form(Kind::MapboxToken, "pk.eyJ", MAPBOX),
    form(Kind::FacebookToken, "EAAM", &[Run(ALNUM, 100, 500)]).floor(35),
    form(Kind::FacebookToken, "EAAC", &[Run(ALNUM, 100, 500)]).floor(35),
    form(Kind::FacebookToken, "EAA", &[Run(ALNUM, 120, 500)]).floor(40),
    form(Kind::FacebookToken, "IGQV", &[Run(URL64, 100, 500)]).floor(40),
    form(
        Kind::TwitterToken,
        "AAAAAAAAAAAAAAAAAAAAA",
        &[Run(ALNUM.and(b'%'), 60, 140)],
    )
    .unjudged(),
    form(Kind::AdobeKey, "p8e-", &[Run(ALNUM, 32, 32)]).floor(28),
    form(Kind::AdobeKey, "p8e-", &[Run(URL64, 32, 32)]).floor(28),
    form(Kind::Intra42Secret, "s-s4t2ud-", &[Run(ANY_HEX, 64, 64)]),
    form(Kind::Intra42Secret, "s-s4t2af-", &[Run(ANY_HEX, 64, 64)]),
];

const DISCORD_WEBHOOK: &[Part] = &[Run(DIGIT, 17, 20), Text("/"), Run(URL64, 60, 80)];
const MAPBOX: &[Part] = &[Run(URL64, 50, 120), Text("."), Run(URL64, 20, 24)];
