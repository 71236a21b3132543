//! The load: clients that behave as ESP8266 and ESP32 do, on loopback only. They know no server.

pub(crate) mod answer;
pub(crate) mod fast;
pub(crate) mod once;
pub(crate) mod request;
pub(crate) mod slow;
pub(crate) mod sys;

use std::net::Ipv4Addr;

/// Addresses that the load comes from: so many that no server's limit for one address, and no lack of
/// ports, is met.
pub(crate) const SOURCES: u8 = 16;

/// The address of the connection of that number.
fn source(connection: usize) -> Ipv4Addr {
    let [.., last] = (connection % usize::from(SOURCES)).to_be_bytes();
    Ipv4Addr::new(127, 0, 0, last + 1)
}

/// A count as a figure to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}

/// The value below which this share (in percent) of the sorted values lies.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?);
    Some(f64::from(sorted[place]))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddrV4, TcpListener};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::answer::{Ask, Content, Right};
    use super::fast::Bodies;
    use super::request::Protocol;
    use super::*;

    /// A server that answers every request with these bytes; to HTTP/1.0 it then closes. It ends with
    /// the test's process.
    fn serve(answer: Vec<u8>) -> SocketAddrV4 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let answer = answer.clone();
                thread::spawn(move || {
                    let mut request = [0; 1024];
                    while let Ok(length) = stream.read(&mut request)
                        && length > 0
                        && stream.write_all(&answer).is_ok()
                        && !request.windows(8).any(|window| window == b"HTTP/1.0")
                    {
                    }
                });
            }
        });
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    /// An image, and the answer that brings it.
    fn image() -> (Arc<Content>, Vec<u8>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![0xE9; 20_000]).unwrap();
        let content = Content::of(file.path()).unwrap();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\nx-MD5: {}\r\n\r\n", content.md5);
        let answer = [head.as_bytes(), content.bytes()].concat();
        (Arc::new(content), answer)
    }

    fn ask(protocol: Protocol, content: &Arc<Content>) -> Ask {
        let request = match protocol {
            Protocol::Http10 => "GET / HTTP/1.0\r\n\r\n",
            Protocol::KeepAlive => "GET / HTTP/1.1\r\n\r\n",
        };
        Ask { request: request.into(), right: Right::Image(Arc::clone(content)) }
    }

    fn fast(answer: Vec<u8>, protocol: Protocol, bodies: Bodies, ask: Ask) -> anyhow::Result<u64> {
        let plan = fast::Plan {
            to: serve(answer),
            protocol,
            bodies,
            asks: &[ask],
            connections: 2,
            threads: 1,
            warm_up: Duration::from_millis(10),
            time: Duration::from_millis(50),
        };
        fast::run(&plan, &[]).map(|outcome| outcome.requests)
    }

    #[test]
    fn right_answers_are_counted_however_they_come() {
        for protocol in [Protocol::Http10, Protocol::KeepAlive] {
            for bodies in [Bodies::Compare, Bodies::Discard] {
                let (content, answer) = image();
                let ask = ask(protocol, &content);
                assert!(
                    fast(answer, protocol, bodies, ask).unwrap() > 0,
                    "{protocol:?} {bodies:?}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_byte_is_found() {
        let (content, mut answer) = image();
        *answer.last_mut().unwrap() ^= 1;
        let ask = ask(Protocol::KeepAlive, &content);
        let problem = fast(answer, Protocol::KeepAlive, Bodies::Compare, ask).unwrap_err();
        assert!(format!("{problem:#}").contains("the body differs"), "{problem:#}");
    }

    #[test]
    fn slow_devices_get_their_image_or_say_why_not() {
        let (content, answer) = image();
        let mut wrong = answer.clone();
        *wrong.last_mut().unwrap() ^= 1;
        let asks = [(); 3].map(|()| ask(Protocol::Http10, &content));
        for (answer, right) in [(answer, 3), (wrong, 0)] {
            let plan = slow::Plan {
                to: serve(answer),
                asks: &asks,
                rate: 1_000_000,
                ramp: Duration::from_millis(10),
                most: Duration::from_secs(20),
            };
            let outcome = slow::run(&plan, &AtomicUsize::new(0)).unwrap();
            assert_eq!((outcome.right, outcome.wrong), (right, 3 - right), "{outcome:?}");
        }
    }

    #[test]
    fn sources_are_loopback_addresses() {
        assert_eq!(source(0), Ipv4Addr::LOCALHOST);
        assert_eq!(source(31), Ipv4Addr::new(127, 0, 0, 16));
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Some(51.0));
        assert_eq!(percentile(&values, 99), Some(100.0));
        assert_eq!(percentile(&values, 100), Some(100.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
