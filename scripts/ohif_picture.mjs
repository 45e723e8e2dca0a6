// Opens a study in OHIF, loads the segmentation and the report as a reader would, and photographs each.
// Called by ohif_picture.py: node ohif_picture.mjs ADDRESS STUDY_UID PICTURE.png, which leaves PICTURE_SEG.png and PICTURE_SR.png
import { createRequire } from 'node:module';
const { chromium } = createRequire(process.cwd() + '/')('playwright-core');
const [address, study, picture] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', '--ignore-gpu-blocklist', '--enable-unsafe-swiftshader'],
});
const page = await browser.newPage({ viewport: { width: 1500, height: 900 } });
page.on('pageerror', error => console.error('page:', String(error).slice(0, 300)));
await page.goto(`${address}/viewer?StudyInstanceUIDs=${study}`, { waitUntil: 'domcontentloaded' });
await page.waitForSelector('canvas', { timeout: 120000 });
await page.waitForTimeout(8000);

async function open(modality) {
  const row = page.locator(`[data-cy^="study-browser-thumbnail"]`, { hasText: modality }).first();
  await row.waitFor({ timeout: 30000 });
  await row.dblclick();
  await page.waitForTimeout(3000);
  const yes = page.getByRole('button', { name: /^(yes|confirm|load)/i }).first();
  if (await yes.isVisible().catch(() => false)) {
    await yes.click();
  } else {
    const word = page.getByText(/^yes$/i).first();
    if (await word.isVisible().catch(() => false)) await word.click();
  }
  await page.waitForTimeout(6000);
}

for (const name of ['Skip all', 'Confirm and hide']) {
  await page.getByText(name, { exact: true }).first().click({ timeout: 5000 }).catch(() => {}); // the tour; the notice
}
for (const modality of ['SEG', 'SR']) {
  await open(modality);
  await page.screenshot({ path: picture.replace('.png', `_${modality}.png`) });
}
await browser.close();
