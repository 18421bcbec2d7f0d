"""An address that a client wrote, read so strictly that nobody can read it otherwise; and which hosts are public.

In: text. Out: an :class:`Address`, or a refusal. Nothing is resolved here and nothing is asked.
Sources: RFC 3986; RFC 3490 (IDNA); WHATWG, "URL", on hosts that end in a number; IANA, "IPv4 Special-Purpose Address
Space" and "IPv6 Special-Purpose Address Space".
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import quote

import msgspec

from tollway.errors import InvalidRequest

MAX_URL_CHARACTERS = 8_192
"""A longer address is refused."""

IP = IPv4Address | IPv6Address

_PORTS = {"http": 80, "https": 443}
_NOT_PLAIN = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
"""Blanks, controls and backslashes: readers of addresses disagree about them."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SAFE = "/?:@!$&'()*+,;=-._~%"

_NOT_PUBLIC_V4 = [
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own (RFC 6598)
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public, and is Azure's platform: keys of machines lie there
        "169.254.0.0/16",  # link-local, the metadata services of clouds among them
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
_UNICAST_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocols' own, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")


class Address(msgspec.Struct, frozen=True):
    """Where a GET goes. ``host`` is ASCII and lower case, ``target`` a path with its query, ``literal`` the host as a
    number if it is one."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str
    literal: IP | None

    @property
    def place(self) -> str:
        """``host:port``, as an allow-list names it; numbers of IPv6 stand in brackets."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> str:
        """What the ``host`` header says."""
        return self._bracketed if self.port == _PORTS[self.scheme] else self.place

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host


def parse(url: str, param: str) -> Address:
    """Reads an address; the fragment is left out, for it is nobody's but the reader's.

    Raises:
        InvalidRequest: it is none of ``http`` or ``https``, or can be read in more than one way.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidRequest(f"The address is longer than {MAX_URL_CHARACTERS} characters.", param=param)
    if not separator or (scheme != "http" and scheme != "https"):
        raise InvalidRequest("The address is to begin with https:// or http://.", param=param)
    if _NOT_PLAIN.search(rest):
        raise InvalidRequest("The address holds a blank, a control character or a backslash.", param=param)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    target = rest[len(authority) :].partition("#")[0]
    if "@" in authority:
        raise InvalidRequest("The address is to hold no user name.", param=param)
    host, port, literal = _read_authority(authority, _PORTS[scheme], param)
    try:
        target = quote(target if target.startswith("/") else "/" + target, safe=_SAFE)
    except UnicodeEncodeError:  # half a character
        raise InvalidRequest("The address is not text.", param=param) from None
    return Address("http" if scheme == "http" else "https", host, port, target, literal)


def is_public(address: IP) -> bool:
    """Whether an address belongs to the public internet: nobody's own network, no transition form of one."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:  # what a resolver makes of a public IPv4 host where there is IPv6 alone
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _UNICAST_V6 and not any(address in block for block in _NOT_PUBLIC_V6)


def _read_authority(authority: str, default_port: int, param: str) -> tuple[str, int, IP | None]:
    if authority.startswith("["):
        written, bracket, after = authority[1:].partition("]")
        if not bracket:
            raise InvalidRequest("The address names no host.", param=param)
        literal = _v6(written, param)
        return str(literal), _port(after, default_port, param), literal
    written, colon, digits = authority.partition(":")
    port = _port(colon + digits, default_port, param)
    host = _host(written, param)
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return host, port, None
    try:
        return host, port, IPv4Address(host)
    except ValueError:  # 2130706433, 0x7f.1, 0177.0.0.1: what these mean differs from reader to reader
        raise InvalidRequest("The host is a number in an unusual form.", param=param) from None


def _v6(written: str, param: str) -> IPv6Address:
    try:
        literal = ip_address(written)
    except ValueError:
        literal = None
    if not isinstance(literal, IPv6Address) or literal.scope_id is not None:
        raise InvalidRequest("The host in brackets is no IPv6 address.", param=param)
    return literal


def _port(after: str, default: int, param: str) -> int:
    """The port of ``:443``; a colon alone means the usual one (RFC 3986, section 3.2.3)."""
    if after in ("", ":"):
        return default
    if not re.fullmatch(r":[0-9]{1,5}", after) or not 1 <= (port := int(after[1:])) <= 65_535:
        raise InvalidRequest("The address's port is no port.", param=param)
    return port


def _host(written: str, param: str) -> str:
    """A name in ASCII: other letters as IDNA has them, in which full-width digits and dots become plain ones."""
    try:
        host = written.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        host = ""
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise InvalidRequest("The address names no host that can be looked up.", param=param)
    return host
