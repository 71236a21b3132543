<?php
// An update script as ESP8266's documentation describes its "advanced updater": a table of devices,
// each with the image and version that it shall run. Written anew, by the same rules.

$table = require __DIR__ . '/devices.php';

function refuse(int $status, string $why): never
{
    http_response_code($status);
    header('Content-Type: text/plain');
    exit($why);
}

function told(string $name): ?string
{
    return $_SERVER['HTTP_X_ESP8266_' . $name] ?? null;
}

if (($_SERVER['HTTP_USER_AGENT'] ?? '') !== 'ESP8266-http-Update') {
    refuse(403, 'only for ESP8266 updater');
}
$needed = ['MODE', 'STA_MAC', 'AP_MAC', 'FREE_SPACE', 'SKETCH_SIZE', 'SKETCH_MD5', 'CHIP_SIZE', 'SDK_VERSION'];
foreach ($needed as $name) {
    if (told($name) === null) {
        refuse(403, "no header $name");
    }
}
$row = $table[told('STA_MAC')] ?? null;
if ($row === null) {
    refuse(404, 'unknown device');
}
[$file, $version] = $row;
if (!is_readable($file)) {
    refuse(404, 'no image');
}
switch (told('MODE')) {
    case 'sketch':
        $runs = told('VERSION');
        if ($runs === null || $runs === $version) {
            http_response_code(304);
            exit;
        }
        header('Content-Type: application/octet-stream');
        header('Content-Disposition: attachment; filename=' . basename($file));
        header('Content-Length: ' . filesize($file));
        header('x-MD5: ' . md5_file($file));
        header("x-version: $version");
        readfile($file);
        exit;
    case 'version':
        header('x-MD5: ' . md5_file($file));
        header("x-version: $version");
        exit;
    default:
        refuse(404, 'mode not supported');
}
