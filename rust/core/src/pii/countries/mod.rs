//! How each country writes its numbers, from what their offices publish. The arithmetic they share is in [`checks`].

mod america;
mod anywhere;
mod asia;
mod checks;
mod europe;
mod germany;
mod isles;
mod south;

use super::code::Spec;

/// Every form of every country.
pub(super) const SPECS: &[&[Spec]] = &[
    america::SPECS,
    anywhere::SPECS,
    asia::SPECS,
    europe::SPECS,
    germany::SPECS,
    isles::SPECS,
    south::SPECS,
];
