//! nginx, tuned, as far as it can be an update server: a table of 10,000 devices that says which image
//! each shall run, 304 for those that report its MD5, `x-MD5` with every file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Process, Running, first_program, free_address, write};
use crate::bench::load::request::mac;
use crate::bench::site::{DEVICES, Site};

/// Settings for downloads: the kernel sends from the page cache. What most use.
pub(super) const SENDFILE: &str = "sendfile on; tcp_nopush off;";
/// nginx reads into its own buffers and writes from them.
pub(super) const COPY_128K: &str = "sendfile off; output_buffers 2 128k;";
/// The same with larger ones.
pub(super) const COPY_1M: &str = "sendfile off; output_buffers 2 1m;";

/// Where Debian and others have it.
pub(super) fn program() -> Option<PathBuf> {
    first_program(["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(Into::into))
}

pub(super) fn version() -> Result<String> {
    let about = Command::new(program().context("no nginx")?).arg("-v").output()?;
    // "nginx version: nginx/1.22.1", on stderr.
    let text = String::from_utf8_lossy(&about.stderr);
    Ok(text.trim().rsplit(": ").next().unwrap_or_default().to_owned())
}

/// Starts it with these settings for files.
pub(super) fn start(folder: &Path, site: &Site, sending: &str) -> Result<Running> {
    let image = site.images.first().context("a site without images")?;
    let devices = (0..DEVICES).map(|number| (mac(number), image.content.md5.clone()));
    write(folder, "devices.map", &table(devices))?;
    let md5s = site.images.iter().map(|image| {
        let path = format!("/{}", image.name);
        (path, image.content.md5.clone())
    });
    write(folder, "md5s.map", &table(md5s))?;
    let maps = "map_hash_max_size 65536; map_hash_bucket_size 128;
        map $http_x_esp8266_sta_mac $wanted { default unknown; include devices.map; }
        map $uri $md5 { include md5s.map; }";
    let locations = format!(
        "location / {{
            root '{root}';
            if ($http_x_esp8266_sketch_md5 = $wanted) {{ return 304; }}
            add_header x-MD5 $md5;
            add_header Content-Disposition attachment;
        }}
        location = /catalog.json {{ alias '{list}'; default_type application/json; }}",
        root = site.folder.display(),
        list = site.list.display(),
    );
    run(folder, &format!("{maps} {sending}"), &locations, Vec::new())
}

/// Starts it with these settings and locations, in front of these processes.
pub(super) fn run(
    folder: &Path,
    settings: &str,
    locations: &str,
    mut behind: Vec<Process>,
) -> Result<Running> {
    let address = free_address()?;
    let workers = std::thread::available_parallelism()?;
    let here = folder.display();
    let config = format!(
        "daemon off; worker_processes {workers}; worker_rlimit_nofile 65536;
        {user}
        pid '{here}/nginx.pid'; error_log stderr warn;
        events {{ worker_connections 32768; multi_accept on; use epoll; }}
        http {{
            access_log off; default_type application/octet-stream; server_tokens off;
            tcp_nodelay on; keepalive_timeout 75; keepalive_requests 1000000000;
            open_file_cache max=4000 inactive=1h; open_file_cache_valid 1h;
            client_body_temp_path '{here}/body'; proxy_temp_path '{here}/proxy';
            fastcgi_temp_path '{here}/fastcgi'; uwsgi_temp_path '{here}/uwsgi';
            scgi_temp_path '{here}/scgi';
            {settings}
            server {{ listen {address} reuseport backlog=4096; {locations} }}
        }}\n",
        user = if is_root() { "user root;" } else { "" },
    );
    let config = write(folder, "nginx.conf", &config)?;
    let mut serve = Command::new(program().context("no nginx")?);
    serve.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg(config);
    behind.push(Process::start(serve, folder.join("nginx.log"))?);
    Ok(Running { address, list: "/catalog.json", processes: behind })
}

/// nginx as root gives its workers to `nobody`, who may not read our folder.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Lines of a `map`.
fn table(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    pairs.into_iter().fold(String::new(), |mut table, (key, value)| {
        // Writing to a String does not fail.
        let _ = writeln!(table, "\"{key}\" \"{value}\";");
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_pair() {
        let pairs = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
        assert_eq!(table(pairs), "\"A\" \"1\";\n\"B\" \"2\";\n");
    }
}
