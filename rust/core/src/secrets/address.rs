//! User and password in the address of something: `postgres://user:password@host`, and `curl -u user:password`.

use memchr::memmem;

use super::context;
use super::form::Reading;
use super::kind::Kind;
use super::value;

/// The mark by which addresses are found.
pub(super) const MARK: &str = "://";
const LONGEST_SCHEME: usize = 24;
const LONGEST_USERINFO: usize = 255;
/// How far before its flag `curl` may stand, in bytes.
const COMMAND_BYTES: usize = 200;

/// What documentation writes for a password in an address.
const NO_PASSWORD: &[&str] = &[
    "admin",
    "changeit",
    "changeme",
    "example",
    "foo",
    "guest",
    "bar",
    "mypassword",
    "mysecretpassword",
    "pass",
    "passwd",
    "password",
    "postgres",
    "pw",
    "pwd",
    "root",
    "secret",
    "string",
    "test",
    "token",
    "user",
    "username",
    "x",
];
const WEB: &[&str] = &[
    "ftp",
    "git",
    "git+https",
    "git+ssh",
    "http",
    "https",
    "sftp",
    "ssh",
    "svn",
    "ws",
    "wss",
];

/// Reads what stands between `://`, at `mark`, and `@`.
pub(super) fn read(text: &[u8], mark: usize, is_last: bool) -> (Reading, Kind) {
    let start = mark + MARK.len();
    let scheme = &text[mark.saturating_sub(LONGEST_SCHEME)..mark];
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let length = scheme.iter().rev().take_while(|byte| is_scheme(byte)).count();
    let scheme = scheme[scheme.len() - length..].to_ascii_lowercase();
    let is_web = WEB.iter().any(|name| name.as_bytes() == scheme);
    let kind = if is_web {
        Kind::UrlCredentials
    } else {
        Kind::ConnectionString
    };
    if scheme.is_empty() {
        return (Reading::No, kind);
    }
    let near = &text[start..text.len().min(start + LONGEST_USERINFO)];
    let ends = |byte: &u8| !byte.is_ascii_graphic() || b"/?#\"'`<>\\|,;".contains(byte);
    let authority = near.iter().position(ends).unwrap_or(near.len());
    if authority == near.len() && near.len() < LONGEST_USERINFO && !is_last {
        return (Reading::Open, kind);
    }
    let Some(at) = near[..authority].iter().rposition(|byte| *byte == b'@') else {
        return (Reading::No, kind);
    };
    let userinfo = &near[..at];
    let Some(colon) = userinfo.iter().position(|byte| *byte == b':') else {
        return (Reading::No, kind);
    };
    let is_secret = at + 1 < authority && is_secret(&userinfo[colon + 1..]);
    (
        if is_secret {
            Reading::Ends(start + at)
        } else {
            Reading::No
        },
        kind,
    )
}

fn is_secret(password: &[u8]) -> bool {
    let lower = password.to_ascii_lowercase();
    let is_template = password.iter().any(|byte| b"${}()[]*".contains(byte)) || lower.starts_with(b"%s");
    password.len() >= 3
        && !is_template
        && !value::is_placeholder(password)
        && !NO_PASSWORD.iter().any(|word| word.as_bytes() == lower)
}

/// Where the argument of the flag begins that ends at `at`: `-u ` or `--user `, of `curl`.
pub(super) fn argument(text: &[u8], at: usize) -> Option<usize> {
    let before = &text[at.saturating_sub(COMMAND_BYTES)..at];
    memmem::rfind(before, b"curl ")?;
    let rest = &text[at..text.len().min(at + context::BEFORE_BYTES)];
    let skip = rest.iter().take_while(|byte| b" =\"'".contains(byte)).count();
    (1..=4).contains(&skip).then_some(at + skip)
}

/// Reads `user:password`, the argument that begins at `start`.
pub(super) fn read_argument(text: &[u8], start: usize, is_last: bool) -> Reading {
    let near = &text[start..text.len().min(start + LONGEST_USERINFO)];
    let quote = text[..start].last().copied().filter(|byte| b"\"'".contains(byte));
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote || *byte == b'\n',
        None => !byte.is_ascii_graphic() || b"\"'`".contains(byte),
    };
    let length = near.iter().position(ends).unwrap_or(near.len());
    if length == near.len() && near.len() < LONGEST_USERINFO && !is_last {
        return Reading::Open;
    }
    if length == LONGEST_USERINFO {
        return Reading::No;
    }
    let argument = &near[..length];
    let Some(colon) = argument.iter().position(|byte| *byte == b':') else {
        return Reading::No;
    };
    let (user, password) = (&argument[..colon], &argument[colon + 1..]);
    let is_written = !argument.iter().any(|byte| b"${}()<>[] ".contains(byte));
    let is_pair = user.len() + password.len() >= 6 && (user.len() >= 3 || user.is_empty());
    let is_key = password.is_empty() && user.len() >= 12 && !value::is_placeholder(user);
    if is_written && is_pair && (is_key || is_secret(password)) {
        Reading::Ends(start + length)
    } else {
        Reading::No
    }
}
