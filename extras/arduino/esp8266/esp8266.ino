// Updates itself from an Updraft server: polls by a timer, the filesystem before the sketch.

#include <ESP8266WiFi.h>
#include <ESP8266httpUpdate.h>

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

// Where to ask, with what the server may want to know. It reads numbers only.
static String updateUrl() {
  String url = String(SERVER) + "/update/" + PRODUCT;
  url += "?e=" + String(lastError);
  url += "&r=" + String(ESP.getResetInfoPtr()->reason);
  url += "&rssi=" + String(WiFi.RSSI());
  return url;
}

static void note(HTTPUpdateResult result, const char* what) {
  if (result == HTTP_UPDATE_FAILED) {
    lastError = ESPhttpUpdate.getLastError();
    Serial.printf("%s: %s\n", what, ESPhttpUpdate.getLastErrorString().c_str());
  } else {
    // The library keeps its last error after a success.
    lastError = 0;
  }
}

static void poll() {
  ESPhttpUpdate.rebootOnUpdate(true);
  if (HAS_FILESYSTEM) {
    // Unmount the filesystem here, if the sketch uses it. This never restarts the device.
    note(ESPhttpUpdate.updateFS(client, updateUrl(), VERSION), "filesystem");
  }
  // With an update, this call does not come back: the device restarts.
  note(ESPhttpUpdate.update(client, updateUrl(), VERSION), "sketch");
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
