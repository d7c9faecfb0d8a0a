// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
)

// takePicture leaves a page in the build folder as a browser shows it, where there is Chromium: for
// people to look at. That something was drawn is all that it can tell by itself.
func (f *forward) takePicture(path string) {
	f.t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		show("no picture of the page: there is no chromium")
		return
	}
	file := filepath.Join(os.Getenv("KIND_FOLDER"), "page.png")
	os.Remove(file)
	command := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--user-data-dir="+f.t.TempDir(), "--window-size=1000,800", "--screenshot="+file, f.url+path)
	if output, err := command.CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, output)
	}
	drawn, err := os.Open(file)
	if err != nil {
		f.t.Fatal(err)
	}
	defer drawn.Close()
	picture, err := png.Decode(drawn)
	if err != nil {
		f.t.Fatal(err)
	}
	colours := map[any]bool{}
	for x := range picture.Bounds().Dx() {
		for y := range picture.Bounds().Dy() {
			colours[picture.At(x, y)] = true
		}
	}
	if len(colours) < 2 {
		f.t.Errorf("%s is blank", file)
	}
	show("the page as Chromium shows it: %s", file)
}
