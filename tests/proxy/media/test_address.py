"""Addresses are read in one way only, and hosts that are not public are known in every spelling."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import InvalidRequest
from tollway.proxy.media.address import MAX_URL_CHARACTERS, is_public, parse


@pytest.mark.parametrize(
    ("url", "place", "target"),
    [
        ("https://example.com", "example.com:443", "/"),
        ("HTTP://Example.COM:/a/b?c=d&e#f", "example.com:80", "/a/b?c=d&e"),
        ("http://example.com.:8080?q", "example.com:8080", "/?q"),
        ("https://bücher.example/ü%20?ß=1", "xn--bcher-kva.example:443", "/%C3%BC%20?%C3%9F=1"),
        ("https://my_bucket.example/a|b<c>", "my_bucket.example:443", "/a%7Cb%3Cc%3E"),
        ("https://example.com/#@127.0.0.1/", "example.com:443", "/"),
        ("http://evil#@127.0.0.1/", "evil:80", "/"),
        ("http://93.184.215.14:1/", "93.184.215.14:1", "/"),
        ("http://[2606:2800:021F:cb07::1]/", "[2606:2800:21f:cb07::1]:80", "/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1:80", "/"),
        ("http://127。0。0。1/", "127.0.0.1:80", "/"),
        ("http://ⓛocalhost./", "localhost:80", "/"),
    ],
)
def test_an_address_is_read_as_its_standards_have_it(url: str, place: str, target: str) -> None:
    address = parse(url, "p")
    assert (address.place, address.target) == (place, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/a.png",
        "//example.com/a.png",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        " http://example.com",
        "http:/example.com",
        "http:\\\\example.com",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com\t@127.0.0.1/",
        "http://exam\tple.com/",
        "http://exam\nple.com/",
        "http://example.com/a\r\nhost: other",
        "http://example.com/a b",
        "http://example.com /",
        "http://example.com\x00.other/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://256.0.0.1/",
        "http://1.2.3.4.5/",
        "http://0x/",
        "http://%31%32%37.0.0.1/",
        "http://[::1",
        "http://[]/",
        "http://[127.0.0.1]/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[::1]x/",
        "http://::1/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:8a/",
        "http://example.com:-1/",
        "http://a..b/",
        "http://./",
        "http://-a.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + ".".join(["a" * 60] * 5) + "/",
        "http:///a.png",
        "http://?a",
        "http://example.com/\ud800",
        "http://\ud800/",
        "http://example.com/" + "a" * MAX_URL_CHARACTERS,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(url, "messages[0].content[1].image_url.url")
    assert caught.value.param == "messages[0].content[1].image_url.url"


@given(st.text() | st.text(alphabet="htps:/?#@[]%.0179xafile\\\t").map("http://".__add__))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    try:
        address = parse(url, "p")
    except InvalidRequest:
        return
    assert address.target.startswith("/")
    assert address.target.isascii()
    assert address.host.isascii()
    assert not set(address.target + address.host) & set(" \r\n\t\\#")
    assert 1 <= address.port <= 65_535


@pytest.mark.parametrize(
    "number",
    [
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:5db8:d70e::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:2800:21f:cb07::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_hosts_of_networks_of_ones_own_are_not_public(number: str) -> None:
    assert not is_public(ip_address(number))


@pytest.mark.parametrize(
    "number",
    ["93.184.215.14", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"],
)
def test_hosts_of_the_internet_are_public(number: str) -> None:
    assert is_public(ip_address(number))
