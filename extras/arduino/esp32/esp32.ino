// Updates itself from an Updraft server: polls by a timer, the filesystem before the sketch, and keeps
// a new sketch only once that reached the server (where the boot loader can roll back).

#include <HTTPUpdate.h>
#include <WiFi.h>
#include <esp_ota_ops.h>
#include <esp_system.h>

static const char WIFI_NAME[] = "my-wifi";
static const char WIFI_PASSWORD[] = "my-password";
static const char SERVER[] = "http://updraft.lan:8000";
static const char PRODUCT[] = "door";
static const char VERSION[] = "1.0.0";
static const bool HAS_FILESYSTEM = false;
static const uint32_t POLL_MS = 10UL * 60 * 1000;

static WiFiClient client;
static int lastError = 0;
static uint32_t lastPoll = 0;
static bool polledOnce = false;

// The core asks this before setup(), and would otherwise mark every sketch that starts as good.
extern "C" bool verifyRollbackLater() {
  return true;
}

// Where to ask, with what the server may want to know. It reads numbers only.
static String updateUrl() {
  String url = String(SERVER) + "/update/" + PRODUCT;
  url += "?e=" + String(lastError);
  url += "&r=" + String(static_cast<int>(esp_reset_reason()));
  url += "&rssi=" + String(WiFi.RSSI());
  return url;
}

static void note(t_httpUpdate_return result, const char* what) {
  if (result == HTTP_UPDATE_FAILED) {
    lastError = httpUpdate.getLastError();
    Serial.printf("%s: %s\n", what, httpUpdate.getLastErrorString().c_str());
    return;
  }
  // The library keeps its last error after a success.
  lastError = 0;
  // The server answered: what runs can be updated again, so it is worth keeping.
  esp_ota_mark_app_valid_cancel_rollback();
}

static void poll() {
  httpUpdate.rebootOnUpdate(true);
  if (HAS_FILESYSTEM) {
    // Unmount the filesystem here, if the sketch uses it. This never restarts the device.
    note(httpUpdate.updateSpiffs(client, updateUrl(), VERSION), "filesystem");
  }
  // With an update, this call does not come back: the device restarts.
  note(httpUpdate.update(client, updateUrl(), VERSION), "sketch");
}

void setup() {
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
}

void loop() {
  const bool isTime = !polledOnce || millis() - lastPoll >= POLL_MS;
  if (isTime && WiFi.status() == WL_CONNECTED) {
    polledOnce = true;
    lastPoll = millis();
    poll();
  }
  // What the sketch is for.
}
