//! Whatever comes, and in whatever pieces: the same result, and no panic.

use proptest::prelude::*;
use updraft_agent::pull::{Device, Mode, Options, Pull, Redirects, Step};

use super::{
    Board, ESP32, ESP8266, FILESYSTEM, SKETCH, answer, ask, connect, md5, request, sketch, words,
};

fn devices() -> impl Strategy<Value = Device<'static>> {
    prop_oneof![Just(ESP8266), Just(ESP32)]
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(SKETCH), Just(FILESYSTEM), Just(Mode::Version)]
}

/// Heads of all kinds, most of them nearly right.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("Content-Length: 3004".to_owned()),
        (0..4_000_u32).prop_map(|length| format!("Content-Length: {length}")),
        Just(format!("x-MD5: {}", md5(&sketch()))),
        "x-MD5: [0-9a-f]{30,33}",
        "x-version: [ -~]{0,250}",
        "Location: (http://[a-c]{1,2}(:[0-9]{1,3})?)?/[ -~]{0,100}",
        "Transfer-Encoding: (chunked|identity|gzip)?",
        "[ -~]{0,80}",
        Just("x".repeat(600)),
    ];
    let fields = proptest::collection::vec(field, 0..6);
    let body = prop_oneof![Just(sketch()), proptest::collection::vec(any::<u8>(), 0..40)];
    let status = prop_oneof![Just("200 OK".to_owned()), "[1-5]0[0-8]( [a-z]*)?", "[ -~]{0,20}"];
    (status, fields, body).prop_map(|(status, fields, body)| {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        answer(&status, &fields, &body)
    })
}

proptest! {
    #[test]
    fn any_split_of_an_answer_gives_the_same(
        device in devices(),
        mode in modes(),
        answer in answers(),
        sizes in proptest::collection::vec(1..400_usize, 1..5),
    ) {
        let options = Options { redirects: Redirects::Any, ..Options::of(device.family) };
        let ask = |sizes: &[usize]| {
            let (outcome, board) =
                ask(&request(device, mode), options, &answer, sizes, Board::default());
            (outcome, board.offered, board.image, board.aborted)
        };
        let whole = ask(&[usize::MAX]);
        prop_assert_eq!(&ask(&sizes), &whole);
        prop_assert_eq!(&ask(&[1]), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(
        device in devices(),
        mode in modes(),
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        room in 0..200_usize,
    ) {
        let options = Options { redirects: Redirects::Any, ..Options::of(device.family) };
        let (mut buffer, asked) = (vec![0; room], request(device, mode));
        let mut pull =
            Pull::new(&asked, options, &mut buffer, Board::default(), 0);
        connect(&mut pull, 0);
        pull.receive(&bytes, 0);
        words(&pull.into_outcome());
    }

    #[test]
    fn a_redirect_leads_to_where_it_says_or_nowhere(
        device in devices(),
        locations in proptest::collection::vec(
            "(http://[a-c]{1,2}(:[0-9]{1,3})?)?/[!-~]{0,60}", 1..12),
    ) {
        let options = Options { redirects: Redirects::Any, ..Options::of(device.family) };
        let (mut buffer, asked) = ([0; 200], request(device, SKETCH));
        let mut pull =
            Pull::new(&asked, options, &mut buffer, Board::default(), 0);
        connect(&mut pull, 0);
        let mut server = "127.0.0.1:18112".to_owned();
        for location in &locations {
            pull.receive(&answer("302", &[&format!("Location: {location}")], b""), 0);
            if pull.step() == Step::Done {
                break;
            }
            let target = match location.strip_prefix("http://") {
                None => location.as_str(),
                Some(rest) => {
                    let (place, target) = rest.split_at(rest.find('/').unwrap());
                    place.strip_suffix(":80").unwrap_or(place).clone_into(&mut server);
                    target
                }
            };
            let sent = connect(&mut pull, 0);
            let start = format!("GET {target} HTTP/1.0\r\nHost: ");
            prop_assert!(sent.starts_with(&start), "{sent}");
            let (name, port) = server.split_once(':').unwrap_or((&server, "80"));
            let port: u16 = port.parse().unwrap();
            let host = match port {
                80 | 443 => format!("{name}\r\n"),
                _ => format!("{name}:{port}\r\n"),
            };
            prop_assert!(sent[start.len()..].starts_with(&host), "{sent}");
        }
    }
}
