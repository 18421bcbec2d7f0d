//! Payment, shops, parcels and customers.

use super::super::form::Part::{self, Either, Run, Text, Uuid};
use super::super::form::{Form, form};
use super::super::kind::Kind;
use super::super::set::{ALNUM, ANY_HEX, BASE64, DIGIT, HEX, LOWER, PADDING, URL64};

const STRIPE: &[Part] = &[Run(ALNUM, 10, 247)];
const SHOPIFY: &[Part] = &[Run(ANY_HEX, 32, 32)];
const PLAID: &[Part] = &[Uuid];

pub(super) const FORMS: &[Form] = &[
    form(Kind::StripeKey, "sk_test_", STRIPE),
    form(Kind::StripeKey, "sk_live_", STRIPE),
    form(Kind::StripeKey, "sk_prod_", STRIPE),
    form(Kind::StripeKey, "rk_test_", STRIPE),
    form(Kind::StripeKey, "rk_live_", STRIPE),
    form(Kind::StripeKey, "rk_prod_", STRIPE),
    form(Kind::StripeKey, "whsec_", &[Run(BASE64, 32, 64), Run(PADDING, 0, 2)]).floor(30),
    form(Kind::SquareToken, "EAAA", &[Run(URL64, 55, 60)])
        .floor(35)
        .strict(),
    form(Kind::SquareToken, "EAAAE", &[Run(URL64, 22, 60)]).floor(35),
    form(Kind::SquareToken, "EAAA", &[Run(URL64, 22, 60)])
        .floor(38)
        .strict(),
    form(Kind::SquareToken, "sq0atp-", &[Run(URL64, 22, 60)]),
    form(Kind::SquareToken, "sq0csp-", &[Run(URL64, 22, 60)]),
    form(Kind::ShopifyToken, "shpat_", SHOPIFY),
    form(Kind::ShopifyToken, "shpca_", SHOPIFY),
    form(Kind::ShopifyToken, "shppa_", SHOPIFY),
    form(Kind::ShopifyToken, "shpss_", SHOPIFY),
    form(Kind::ShopifyToken, "shptka_", SHOPIFY),
    form(Kind::ShopifyToken, "shpua_", SHOPIFY),
    form(Kind::RazorpayKey, "rzp_live_", &[Run(ALNUM, 14, 20)]),
    form(Kind::RazorpayKey, "rzp_test_", &[Run(ALNUM, 14, 20)]),
    form(Kind::AdyenKey, "AQE", &[Run(BASE64, 90, 400), Run(PADDING, 0, 2)])
        .floor(40)
        .strict(),
    form(Kind::FlutterwaveKey, "FLWSECK_TEST-", &[Run(ALNUM, 12, 12)]),
    form(Kind::FlutterwaveKey, "FLWSECK_TEST-", &[Run(ALNUM, 32, 32), Text("-X")]),
    form(Kind::FlutterwaveKey, "FLWSECK-", &[Run(ALNUM, 32, 32), Text("-X")]),
    form(Kind::FlutterwaveKey, "FLWPUBK_TEST-", &[Run(ALNUM, 32, 32), Text("-X")]),
    form(Kind::GocardlessToken, "live_", &[Run(URL64.and(b'='), 40, 40)])
        .floor(38)
        .strict(),
    form(Kind::LobKey, "live_", &[Run(HEX, 35, 35)]).floor(28).strict(),
    form(Kind::LobKey, "test_", &[Run(HEX, 35, 35)]).floor(28).strict(),
    form(Kind::LobKey, "live_pub_", &[Run(HEX, 31, 31)]).floor(28),
    form(Kind::LobKey, "test_pub_", &[Run(HEX, 31, 31)]).floor(28),
    form(Kind::MollieKey, "live_", &[Run(ALNUM, 30, 30)]).floor(38).strict(),
    form(Kind::MollieKey, "test_", &[Run(ALNUM, 30, 30)]).floor(38).strict(),
    form(Kind::PaddleKey, "pdl_live_apikey_", PADDLE),
    form(Kind::PaddleKey, "pdl_sdbx_apikey_", PADDLE),
    form(Kind::PlaidToken, "access-sandbox-", PLAID),
    form(Kind::PlaidToken, "access-development-", PLAID),
    form(Kind::PlaidToken, "access-production-", PLAID),
    form(Kind::DuffelToken, "duffel_test_", &[Run(URL64.and(b'='), 43, 43)]),
    form(Kind::DuffelToken, "duffel_live_", &[Run(URL64.and(b'='), 43, 43)]),
    form(Kind::EasypostKey, "EZAK", &[Run(ALNUM, 54, 54)]),
    form(Kind::EasypostKey, "EZTK", &[Run(ALNUM, 54, 54)]),
    form(Kind::ShippoToken, "shippo_live_", &[Run(ANY_HEX, 40, 40)]),
    form(Kind::ShippoToken, "shippo_test_", &[Run(ANY_HEX, 40, 40)]),
    form(Kind::HubspotToken, "pat-na1-", PLAID),
    form(Kind::HubspotToken, "pat-na2-", PLAID),
    form(Kind::HubspotToken, "pat-eu1-", PLAID),
    form(Kind::IntercomToken, "dG9rO", &[Run(BASE64, 50, 90), Run(PADDING, 0, 2)])
        .floor(35)
        .strict(),
    form(
        Kind::SalesforceToken,
        "00D",
        &[Run(ALNUM, 12, 15), Either(&["!"]), Run(URL64.and(b'.'), 80, 200)],
    )
    .floor(35),
    form(Kind::TypeformToken, "tfp_", &[Run(URL64.and(b'.').and(b'='), 40, 64)]).floor(30),
    form(Kind::AsanaToken, "1/", ASANA),
    form(
        Kind::AsanaToken,
        "2/",
        &[
            Run(DIGIT, 10, 20),
            Text("/"),
            Run(DIGIT, 10, 20),
            Text(":"),
            Run(HEX, 32, 32),
        ],
    ),
];

const PADDLE: &[Part] = &[
    Run(LOWER, 26, 26),
    Text("_"),
    Run(ALNUM, 22, 22),
    Text("_"),
    Run(ALNUM, 3, 3),
];
const ASANA: &[Part] = &[Run(DIGIT, 10, 20), Text(":"), Run(HEX, 32, 32)];
