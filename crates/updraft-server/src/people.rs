//! The people plane: browsers and operators, served by hyper and axum on connections that the device
//! plane hands over at a request boundary.

pub(crate) mod pages;
mod patience;
mod rewind;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;

use crate::app::App;
use crate::catalog::Effort;
use crate::deliver::Outcome;
use crate::device::request::{DeviceRequest, Sorted, sort};
use crate::device::respond::respond;
use crate::device::stream::Stream;
use crate::http::{Answer, Body as AnswerBody, Fields, Method, RequestHead, Status, Version};
use crate::people::patience::Patience;
use crate::people::rewind::Rewind;
use crate::stop::Stop;
use crate::{deliver, log, router};

/// What handlers of the people plane get.
#[derive(Clone)]
pub(crate) struct PeopleState {
    pub(crate) app: Arc<App>,
}

/// Serves a connection whose first request, of which `received` are the bytes so far, is a person's.
pub(crate) async fn serve<S: Stream>(
    stream: S,
    received: Vec<u8>,
    peer: SocketAddr,
    app: Arc<App>,
    stop: Stop,
) {
    let (bounds, limits) = (app.bounds.clone(), app.delivery.clone());
    let stream = Patience::new(stream, limits.stall.to_std());
    let router = router::people(PeopleState { app: Arc::clone(&app) });
    let service =
        service_fn(move |request| answer(Arc::clone(&app), router.clone(), peer, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        // It counts from the end of the answer before, so it bounds idle connections, too.
        .header_read_timeout(bounds.head.min(bounds.idle).to_std())
        .max_buf_size(bounds.head_size.as_usize().max(8 << 10))
        .serve_connection(TokioIo::new(Rewind::new(received, stream)), service);
    let mut connection = std::pin::pin!(connection);
    // A browser opens another connection as it likes; no client keeps one for ever.
    let longest = limits.longest(0);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = async { tokio::select! { () = stop.requested() => {}, () = sleep(longest) => {} } } => {
            connection.as_mut().graceful_shutdown();
            match timeout(longest, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!(peer = %peer.ip(), "a browser's connection was cut"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.ip(), %error, "a browser's connection ended early");
    }
}

/// Answers one request: a person's by the router, a device's by the functions of the device plane.
async fn answer(
    app: Arc<App>,
    router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let started = Instant::now();
    let sorted = {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let fields = || {
            let all = request.headers().iter();
            all.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
        };
        log::head(target, fields(), peer);
        let method = Method::of(request.method().as_str());
        let mut known = Fields::default();
        let head = RequestHead::new(method, target, Version::Http11, fields(), &mut known);
        sort(&head, peer.ip())
    };
    match sorted {
        Ok(Sorted::People) => {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let response = router.oneshot(request).await?;
            let status = response.status().as_u16();
            log::people(peer, method.as_str(), &path, status, started.elapsed());
            Ok(response)
        }
        Ok(Sorted::Device(request)) => Ok(answer_device(app, request, started).await),
        Err(error) => {
            let status = Status::from(error);
            log::refused(peer, status.code(), error);
            Ok(convert(Answer::empty(status).closing()))
        }
    }
}

async fn answer_device(app: Arc<App>, request: Arc<DeviceRequest>, started: Instant) -> Response {
    let asked = Arc::clone(&request);
    let now = app.now();
    let reply = tokio::task::spawn_blocking(move || respond(&app, &asked, now, Effort::Disk)).await;
    let Ok(Some(mut reply)) = reply else {
        return convert(Answer::empty(Status::InternalError).closing());
    };
    let answer = std::mem::replace(&mut reply.answer, Answer::empty(Status::Ok));
    reply.answer.status = answer.status;
    log::request(&request, &reply, Outcome::unconfirmed(None), || started.elapsed());
    convert(answer)
}

/// Brings an answer into axum's form.
fn convert(answer: Answer) -> Response {
    let length = answer.body.len();
    let mut response = Response::new(match answer.body {
        AnswerBody::Empty => Body::empty(),
        AnswerBody::Text(text) => Body::from(text),
        AnswerBody::Bytes(bytes) => Body::from(bytes),
        AnswerBody::Image(delivery) => deliver::into_body(delivery),
    });
    *response.status_mut() =
        StatusCode::from_u16(answer.status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.fields {
        // Names are ours; a value that HTTP cannot carry is left out rather than sent broken.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.insert(name, value);
        }
    }
    if answer.status != Status::NotModified {
        headers.insert(axum::http::header::CONTENT_LENGTH, length.into());
    }
    if answer.close {
        headers.insert(axum::http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
