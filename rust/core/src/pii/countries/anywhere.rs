//! What has the same form in every country.

use super::super::code::Spec;
use super::super::entity::Entity;

const MAC: &[&str] = &["mac", "hardware address", "ethernet", "physical address", "bssid"];

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { entity: Entity::MacAddress, forms: &["xx-xx-xx-xx-xx-xx", "xxxx.xxxx.xxxx"], check: mac, worth: [80, 85, 95], words: MAC },
    Spec { entity: Entity::MacAddress, forms: &["dd-dd-dd-dd-dd-dd", "dddd.dddd.dddd"], check: |_| true, worth: [0, 60, 85], words: MAC },
];

/// Twelve hexadecimal digits, a letter among them (IEEE 802).
fn mac(symbols: &[u8]) -> bool {
    symbols.iter().all(u8::is_ascii_hexdigit) && symbols.iter().any(u8::is_ascii_uppercase)
}
