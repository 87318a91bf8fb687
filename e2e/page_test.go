package e2e

import (
	"context"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write pictures of the server's page to `DIR`")

// A tab is a page of a real browser. Whatever it complains of, or asks another server for, fails the test.
type tab struct {
	ctx  context.Context
	stop func()
}

func openTab(t *testing.T, page string) tab {
	t.Helper()
	need(t, "chromium", "apt-get install chromium")
	ctx, stopBrowser := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox)...)
	ctx, stopTab := chromedp.NewContext(ctx)
	ctx, stopTime := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() { stopTime(); stopTab(); stopBrowser() })

	heard, stop := context.WithCancel(ctx)
	said, asked := chromedp.Console(heard), chromedp.Events(heard, network.RequestWillBeSent)
	done := make(chan struct{}, 2)
	go func() {
		for m, err := range said {
			if err == nil && (m.IsException() || m.Type == "error" || m.Type == "warning") {
				t.Errorf("the browser says: %v", m)
			}
		}
		done <- struct{}{}
	}()
	go func() {
		for e, err := range asked {
			if err == nil && !strings.HasPrefix(e.Request.URL, page) && !strings.HasPrefix(e.Request.URL, "data:") {
				t.Errorf("the page asks for %s", e.Request.URL)
			}
		}
		done <- struct{}{}
	}()
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	w := tab{ctx, func() { stop(); <-done; <-done }}
	w.do(t, chromedp.Navigate(page), chromedp.WaitVisible("#q"))
	return w
}

func (w tab) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func read[T any](t *testing.T, w tab, script string) T {
	t.Helper()
	v, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// shown are the module versions that can be seen.
func (w tab) shown(t *testing.T) []string {
	t.Helper()
	return read[[]string](t, w, `[...document.querySelectorAll("#rows tr")].filter(r => r.checkVisibility()).map(r => r.dataset.name)`)
}

// picture writes what the window shows, if somebody wants to look at it.
func (w tab) picture(t *testing.T, name string, width, height int64, scheme string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	w.do(t, chromedp.EmulateViewport(width, height))
	if wide := read[int64](t, w, "document.documentElement.scrollWidth"); wide > width {
		t.Errorf("%s: the page is %d wide, the window %d", name, wide, width)
	}
	if *screenshots == "" {
		return
	}
	data, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// In a real browser the search finds modules as one types, and the line to copy makes a go command use the server.
func TestPage(t *testing.T) {
	server, _ := startServe(t, packHello(t).ref)
	w := openTab(t, server+"/")

	all := w.shown(t)
	if len(all) < 5 {
		t.Fatalf("the page shows %q", all)
	}
	w.do(t, chromedp.SendKeys("#q", "TEXT v0"))
	found := w.shown(t)
	if len(found) == 0 || len(found) == len(all) {
		t.Errorf("the search shows %d of %d", len(found), len(all))
	}
	for _, name := range found {
		if !strings.Contains(name, "text") || !strings.Contains(name, "v0") {
			t.Errorf("the search shows %s", name)
		}
	}
	if said := read[string](t, w, `document.getElementById("count").textContent`); !strings.HasPrefix(said, strconv.Itoa(len(found))+" of ") {
		t.Errorf("the search says %q, and shows %d", said, len(found))
	}
	w.do(t, chromedp.SendKeys("#q", " no such module"), chromedp.WaitVisible("#none"))
	if left := w.shown(t); len(left) > 0 {
		t.Errorf("nothing fits, and the search shows %q", left)
	}

	line := w.copied(t, "#panel-sh .copy")
	if want := goferry(t, "env", server); line != want {
		t.Errorf("the page copies %q, env prints %q", line, want)
	}
	dir := tempDir(t)
	module := found[0]
	for _, name := range []string{line + "\ngo mod download -json " + module, line + "\nprintf 'module x\\n' > go.mod && " + w.copied(t, `#rows [data-name="`+module+`"] .copy`)} {
		c := command{dir: dir, env: []string{"GOPATH=" + filepath.Join(dir, "go"), "GOMODCACHE=" + filepath.Join(dir, "mod"), "GOFLAGS=-modcacherw", "GOPROXY=off"}}
		c.must(t, "sh", "-euc", name)
	}
	w.stop()
}

// copied presses a button and returns what is on the clipboard then.
func (w tab) copied(t *testing.T, button string) string {
	t.Helper()
	w.do(t, chromedp.Navigate(read[string](t, w, "location.origin")+"/"), chromedp.WaitVisible(button))
	read[bool](t, w, `navigator.clipboard.writeText = async text => { window.copied = text }, true`)
	w.do(t, chromedp.Click(button))
	text, err := chromedp.Run(w.ctx, chromedp.Poll[string]("window.copied"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The page fits a phone, is there in both colours, and answers a query without scripts.
func TestPageLooks(t *testing.T) {
	server, _ := startServe(t, "hello="+packHello(t).ref, "web="+packContainer(t).ref)
	w := openTab(t, server+"/")
	w.picture(t, "light", 1200, 900, "light")
	w.picture(t, "dark", 1200, 900, "dark")
	w.picture(t, "phone", 390, 844, "light")
	w.do(t, chromedp.ScrollIntoView("#modules"))
	w.picture(t, "modules", 1200, 900, "light")
	w.do(t, chromedp.Click(`label[for="tab-dockerfile"]`), chromedp.WaitVisible("#panel-dockerfile"))
	w.do(t, chromedp.ScrollIntoView("#use"))
	w.picture(t, "dockerfile", 1200, 900, "light")
	w.do(t, chromedp.Navigate(server+"/?q="+url.QueryEscape("x/text")))
	if found := w.shown(t); len(found) == 0 || !strings.Contains(found[0], "golang.org/x/text@") {
		t.Errorf("the query shows %q", found)
	}
	w.stop()
}
