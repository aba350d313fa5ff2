export const Logo = () => (
  <svg class="logo-mark" viewBox="0 0 38 24" aria-hidden="true">
    <circle class="wheel-a" cx="9" cy="15" r="7" />
    <circle class="wheel-b" cx="29" cy="15" r="7" />
    <path d="M9 15 13 5h12l4 10M13 5h-3M25 5l-8 10M17 15 13 5" />
  </svg>
);
